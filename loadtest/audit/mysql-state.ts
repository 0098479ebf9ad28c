import { formatUuid } from '@frontrow/shared/ids.ts';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import type { BookingTables, LogId, PaymentTables } from './world.ts';

/** One server connection a shard, with read access to both schemas of the shard. */
export interface ShardReader {
  connection: Connection;
  booking: string;
  payment: string;
}

/** @param shardUrls administrative URLs; the path of each is the prefix of its schemas. */
export async function openShardReaders(shardUrls: readonly string[]): Promise<ShardReader[]> {
  const readers: ShardReader[] = [];
  for (const url of shardUrls) {
    const server = new URL(url);
    const prefix = server.pathname.slice(1);
    server.pathname = '/';
    const connection = await mysql.createConnection({ uri: server.toString(), timezone: 'Z', supportBigNumbers: true });
    readers.push({
      connection,
      booking: mysql.escapeId(`${prefix}_booking`),
      payment: mysql.escapeId(`${prefix}_payment`),
    });
  }
  return readers;
}

/** Ids of the concerts that the shards have. */
export async function allConcerts(shards: readonly ShardReader[]): Promise<number[]> {
  const found = await Promise.all(
    shards.map(({ connection, booking }) =>
      select(connection, `SELECT concert_id FROM ${booking}.concerts`, [], (row) => Number(row.concert_id)),
    ),
  );
  return found.flat().sort((a, b) => a - b);
}

/**
 * The rows of one concert, from one moment of its shard.
 * @throws Error when no shard, or more than one, has the concert.
 */
export async function loadMysql(
  shards: readonly ShardReader[],
  concertId: number,
): Promise<{ booking: BookingTables; payment: PaymentTables }> {
  const home = await shardOf(shards, concertId);
  const { connection } = home;
  await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  try {
    const booking = await loadBookingTables(home, concertId);
    const payment = await loadPaymentTables(home, concertId);
    return { booking: { ...booking, userBookings: await loadUserBookings(shards, concertId) }, payment };
  } finally {
    await connection.query('COMMIT');
  }
}

/** How far MySQL has the concert's log, and payments that have not come to an end. */
export async function loadProgress(
  shards: readonly ShardReader[],
  concertId: number,
): Promise<{ cursor: LogId | null; openPayments: number; bookings: number; confirmed: number; soldSeats: number }> {
  const { connection, booking, payment } = await shardOf(shards, concertId);
  const [cursor] = await select(
    connection,
    `SELECT last_epoch, last_n FROM ${booking}.log_cursor WHERE concert_id = ?`,
    [concertId],
    (row): LogId => ({ epoch: Number(row.last_epoch), n: Number(row.last_n) }),
  );
  const count = async (sql: string): Promise<number> =>
    (await select(connection, sql, [concertId], (row) => Number(row.count)))[0] ?? 0;
  return {
    cursor: cursor ?? null,
    openPayments: await count(
      `SELECT COUNT(*) AS count FROM ${payment}.payments WHERE concert_id = ? AND status IN ('pending', 'captured', 'refunding')`,
    ),
    bookings: await count(`SELECT COUNT(*) AS count FROM ${booking}.bookings WHERE concert_id = ?`),
    confirmed: await count(
      `SELECT COUNT(*) AS count FROM ${booking}.bookings WHERE concert_id = ? AND status = 'confirmed'`,
    ),
    soldSeats: await count(`SELECT COUNT(*) AS count FROM ${booking}.tickets WHERE concert_id = ? AND status = 'sold'`),
  };
}

async function shardOf(shards: readonly ShardReader[], concertId: number): Promise<ShardReader> {
  const homes: ShardReader[] = [];
  for (const shard of shards) {
    const sql = `SELECT concert_id FROM ${shard.booking}.concerts WHERE concert_id = ?`;
    if ((await select(shard.connection, sql, [concertId], () => true)).length > 0) homes.push(shard);
  }
  const [home] = homes;
  if (home === undefined) throw new Error(`no shard has concert ${concertId}`);
  if (homes.length > 1) throw new Error(`${homes.length} shards have concert ${concertId}`);
  return home;
}

async function loadBookingTables(
  { connection, booking }: ShardReader,
  concertId: number,
): Promise<Omit<BookingTables, 'userBookings'>> {
  const from = <T>(sql: string, map: (row: RowDataPacket) => T) => select(connection, sql, [concertId], map);
  const [concert] = await from(`SELECT * FROM ${booking}.concerts WHERE concert_id = ?`, (row) => ({
    totalTickets: Number(row.total_tickets),
    availableTickets: Number(row.available_tickets),
    currency: String(row.currency),
  }));
  if (concert === undefined) throw new Error(`concert ${concertId} went away while it was read`);
  const [cursor] = await from(`SELECT * FROM ${booking}.log_cursor WHERE concert_id = ?`, (row) => ({
    epoch: Number(row.epoch),
    last: { epoch: Number(row.last_epoch), n: Number(row.last_n) },
  }));
  return {
    concert,
    cursor: cursor ?? null,
    tickets: await from(`SELECT * FROM ${booking}.tickets WHERE concert_id = ? ORDER BY seat_index`, (row) => ({
      seatIndex: Number(row.seat_index),
      label: String(row.seat_number),
      status: row.status,
    })),
    bookings: await from(`SELECT * FROM ${booking}.bookings WHERE concert_id = ? ORDER BY id`, (row) => ({
      id: formatUuid(row.id),
      userId: formatUuid(row.user_id),
      phase: row.phase,
      status: row.status,
      seats: seatsOf(row.seats),
      totalMinor: Number(row.total_amount_minor),
      expiresAtMs: Number(row.expires_at),
      heldUntilMs: Number(row.held_until),
      attempt: Number(row.attempt),
      endedAtMs: row.ended_at === null ? null : Number(row.ended_at),
      version: Number(row.version),
    })),
    bookingTickets: await from(`SELECT * FROM ${booking}.booking_tickets WHERE concert_id = ?`, (row) => ({
      bookingId: formatUuid(row.booking_id),
      seatIndex: Number(row.seat_index),
    })),
    deadChanges: await from(
      `SELECT * FROM ${booking}.dead_changes WHERE concert_id = ? AND replayed_at IS NULL ORDER BY change_epoch, change_n`,
      (row) => ({
        id: `${row.change_epoch}-${row.change_n}`,
        bookingId: row.booking_id === null ? null : formatUuid(row.booking_id),
        reason: `${row.reason}: ${row.detail}`,
      }),
    ),
  };
}

async function loadPaymentTables({ connection, payment }: ShardReader, concertId: number): Promise<PaymentTables> {
  const from = <T>(table: string, map: (row: RowDataPacket) => T) =>
    select(connection, `SELECT * FROM ${payment}.${table} WHERE concert_id = ?`, [concertId], map);
  return {
    payments: await from('payments', (row) => ({
      id: formatUuid(row.id),
      bookingId: formatUuid(row.booking_id),
      userId: formatUuid(row.user_id),
      seats: seatsOf(row.seats),
      amountMinor: Number(row.amount_minor),
      currency: String(row.currency),
      status: row.status,
      attempt: Number(row.attempt),
      transactionId: row.transaction_id,
    })),
    attempts: await from('payment_attempts', (row) => ({
      paymentId: formatUuid(row.payment_id),
      attempt: Number(row.attempt),
      status: row.status,
      chargeId: row.charge_id,
    })),
    refunds: await from('refunds', (row) => ({
      paymentId: formatUuid(row.payment_id),
      n: Number(row.n),
      chargeId: String(row.charge_id),
      amountMinor: Number(row.amount_minor),
      status: row.status,
      providerRefundId: row.provider_refund_id,
    })),
  };
}

/** They stand on the shards of their users, so every shard is asked. */
async function loadUserBookings(
  shards: readonly ShardReader[],
  concertId: number,
): Promise<BookingTables['userBookings']> {
  const found = await Promise.all(
    shards.map(({ connection, booking }) =>
      select(connection, `SELECT * FROM ${booking}.user_bookings WHERE concert_id = ?`, [concertId], (row) => ({
        userId: formatUuid(row.user_id),
        bookingId: formatUuid(row.booking_id),
      })),
    ),
  );
  return found.flat();
}

async function select<T>(
  connection: Connection,
  sql: string,
  params: readonly number[],
  map: (row: RowDataPacket) => T,
): Promise<T[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql, [...params]);
  return rows.map(map);
}

const seatsOf = (list: Buffer): number[] => list.toString('ascii').split(',').map(Number);
