import { createServer, type Server } from 'node:http';
import type { Change } from '@frontrow/shared/contracts/change.ts';
import type { LedgerItem } from '@frontrow/shared/contracts/provider.ts';
import { uuidToBytes } from '@frontrow/shared/ids.ts';
import type { Redis } from 'ioredis';
import type { Connection } from 'mysql2/promise';
import type { World } from '../world.ts';

/** Schemas of the shards of a test server: everything of the concert stands on the first, its users' lists on the second. */
const [booking, payment] = ['frontrow_shard_0_booking', 'frontrow_shard_0_payment'];
const usersBooking = 'frontrow_shard_1_booking';

/** Writes a world into real servers, in place of the one that was there. */
export async function plantMysql(connection: Connection, world: World): Promise<void> {
  const { concertId, mysql, money } = world;
  await connection.query('SET foreign_key_checks = 0');
  for (const table of [
    'concerts',
    'tickets',
    'bookings',
    'booking_tickets',
    'log_cursor',
    'dead_changes',
    'user_bookings',
  ]) {
    await connection.query(`DELETE FROM ${booking}.${table}`);
  }
  await connection.query(`DELETE FROM ${usersBooking}.user_bookings`);
  for (const table of ['payments', 'payment_attempts', 'refunds'])
    await connection.query(`DELETE FROM ${payment}.${table}`);
  await connection.query('SET foreign_key_checks = 1');

  const insert = (table: string, columns: string, rows: unknown[][]) =>
    rows.length === 0 ? undefined : connection.query(`INSERT INTO ${table} (${columns}) VALUES ?`, [rows]);
  const { totalTickets, availableTickets, currency } = mysql.concert;
  await insert(
    `${booking}.concerts`,
    'concert_id, total_tickets, available_tickets, price_from_minor, currency, layout_version',
    [[concertId, totalTickets, availableTickets, 500, currency, 1]],
  );
  await insert(
    `${booking}.tickets`,
    'concert_id, seat_index, seat_number, status, price_minor',
    mysql.tickets.map(({ seatIndex, label, status }) => [concertId, seatIndex, label, status, 500]),
  );
  await insert(
    `${booking}.bookings`,
    'concert_id, id, user_id, status, phase, seats, seat_count, total_amount_minor, currency, attempt, keyed, expires_at, held_until, booking_date, ended_at, version',
    mysql.bookings.map((row) => [
      concertId,
      uuidToBytes(row.id),
      uuidToBytes(row.userId),
      row.status,
      row.phase,
      row.seats.join(','),
      row.seats.length,
      row.totalMinor,
      currency,
      row.attempt,
      true,
      new Date(row.expiresAtMs),
      new Date(row.heldUntilMs),
      new Date(row.heldUntilMs - 30_000),
      row.endedAtMs === null ? null : new Date(row.endedAtMs),
      row.version,
    ]),
  );
  await insert(
    `${booking}.booking_tickets`,
    'concert_id, booking_id, seat_index',
    mysql.bookingTickets.map(({ bookingId, seatIndex }) => [concertId, uuidToBytes(bookingId), seatIndex]),
  );
  await insert(
    `${usersBooking}.user_bookings`,
    'user_id, booking_id, concert_id, created_at',
    mysql.userBookings.map(({ userId, bookingId }) => [
      uuidToBytes(userId),
      uuidToBytes(bookingId),
      concertId,
      new Date(),
    ]),
  );
  const { cursor } = mysql;
  await insert(
    `${booking}.log_cursor`,
    'concert_id, epoch, last_epoch, last_n',
    cursor === null ? [] : [[concertId, cursor.epoch, cursor.last.epoch, cursor.last.n]],
  );
  await insert(
    `${payment}.payments`,
    'concert_id, id, booking_id, user_id, seats, amount_minor, currency, payment_method, status, attempt, transaction_id',
    money.payments.map((row) => [
      concertId,
      uuidToBytes(row.id),
      uuidToBytes(row.bookingId),
      uuidToBytes(row.userId),
      row.seats.join(','),
      row.amountMinor,
      row.currency,
      'pm_ok',
      row.status,
      row.attempt,
      row.transactionId,
    ]),
  );
  await insert(
    `${payment}.payment_attempts`,
    'concert_id, payment_id, attempt, idempotency_key, request_hash, payment_method, hold_expires_at, status, charge_id',
    money.attempts.map(({ paymentId, attempt, status, chargeId }) => [
      concertId,
      uuidToBytes(paymentId),
      attempt,
      `key-${attempt}`,
      Buffer.alloc(32),
      'pm_ok',
      new Date(),
      status,
      chargeId,
    ]),
  );
  await insert(
    `${payment}.refunds`,
    'concert_id, payment_id, n, charge_id, amount_minor, status, provider_refund_id, reason',
    money.refunds.map((row) => [
      concertId,
      uuidToBytes(row.paymentId),
      row.n,
      row.chargeId,
      row.amountMinor,
      row.status,
      row.providerRefundId,
      'lost',
    ]),
  );
}

const phaseNumbers = ['held', 'paying', 'sold', 'ended', 'lost'];

export async function plantRedis(redis: Redis, { concertId, redis: state }: World): Promise<void> {
  const key = (what: string) => `{${concertId}}:${what}`;
  await redis.flushall();
  await redis.set(key('seats'), state.states ?? '');
  await redis.hset(key('meta'), 'epoch', String(state.epoch), 'seats_per_user_max', String(state.seatsPerUserMax));
  // Packed by Redis itself, as the scripts of booking-service do it.
  const pack = "redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(cjson.decode(ARGV[2])))";
  for (const row of state.records) {
    const record = [
      row.id,
      phaseNumbers.indexOf(row.phase) + 1,
      row.seats.join(','),
      row.seats.length,
      row.totalMinor,
      row.expiresAtMs,
      row.heldUntilMs,
      row.attempt,
      1,
      row.heldUntilMs - 30_000,
      0,
    ];
    await redis.eval(pack, 1, key('fans'), row.userId, JSON.stringify([record]));
  }
  for (const entry of state.log)
    if ('change' in entry) await redis.xadd(key('log'), entry.id, 'c', encodeChange(entry.change));
}

/** The text of contracts/change.ts, written here by hand: the other side of what the audit reads. */
function encodeChange({ kind, atMs, seatState, booking: told }: Change): string {
  if (told === null) return `${kind}|${atMs}`;
  const { id, userId, phase, totalMinor, expiresAtMs, heldUntilMs, attempt, keyed, createdAtMs, seats } = told;
  const times = [expiresAtMs, heldUntilMs, attempt, keyed ? 1 : 0, createdAtMs];
  return [kind, atMs, seatState, id, userId, phase, totalMinor, ...times, seats.join(',')].join('|');
}

export const ledgerKey = 'key-of-a-test-ledger';

/** A ledger that answers in pages of two, as the sandbox provider would. */
export async function startLedger(items: () => LedgerItem[]): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${ledgerKey}`) {
      response.writeHead(401).end();
      return;
    }
    const from = Number(new URL(request.url ?? '', 'http://ledger').searchParams.get('cursor') ?? '0');
    const page = items().slice(from, from + 2);
    const nextCursor = from + 2 < items().length ? String(from + 2) : null;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ items: page, nextCursor }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}` };
}
