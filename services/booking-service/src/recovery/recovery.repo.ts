import { type Phase, phaseSchema } from '@frontrow/shared/contracts/hold.ts';
import { type ConcertId, formatUuid } from '@frontrow/shared/ids.ts';
import { type Shards, type Sql, statement } from '@frontrow/shared/mysql/pool.ts';

const raiseEpoch = statement(
  'recovery.raiseEpoch',
  'UPDATE log_cursor SET epoch = epoch + 1, updated_at = ? WHERE concert_id = ? AND epoch = ?',
);
const readTickets = statement(
  'recovery.readTickets',
  'SELECT status FROM tickets WHERE concert_id = ? ORDER BY seat_index',
);
const readBookings = statement(
  'recovery.readBookings',
  `SELECT id, user_id, phase, seats, seat_count, total_amount_minor, expires_at, held_until, attempt, keyed, booking_date, ended_at
   FROM bookings WHERE concert_id = ? AND id > ? AND (ended_at IS NULL OR ended_at > ?) ORDER BY id LIMIT ?`,
);
const deleteOwners = statement('recovery.deleteOwners', 'DELETE FROM booking_tickets WHERE concert_id = ?');
const deleteBookings = statement('recovery.deleteBookings', 'DELETE FROM bookings WHERE concert_id = ?');
const deleteDead = statement('recovery.deleteDead', 'DELETE FROM dead_changes WHERE concert_id = ?');
const deleteUserBookings = statement('recovery.deleteUserBookings', 'DELETE FROM user_bookings WHERE concert_id = ?');
const freeTickets = statement(
  'recovery.freeTickets',
  `UPDATE tickets SET status = 'available', version = 0 WHERE concert_id = ? AND status IN ('booked', 'sold')`,
);
const countAvailable = statement(
  'recovery.countAvailable',
  `UPDATE concerts SET available_tickets = (SELECT COUNT(*) FROM tickets WHERE concert_id = ? AND status = 'available'), updated_at = ?
   WHERE concert_id = ?`,
);
const resetCursor = statement(
  'recovery.resetCursor',
  'UPDATE log_cursor SET last_epoch = epoch, last_n = -1, updated_at = ? WHERE concert_id = ?',
);

export interface StoredBooking {
  id: string;
  userId: string;
  phase: Phase;
  seats: string;
  seatCount: number;
  totalMinor: number;
  expiresAtMs: number;
  heldUntilMs: number;
  attempt: number;
  keyed: boolean;
  createdAtMs: number;
  endedAtMs: number | null;
}

interface BookingRow {
  id: Buffer;
  user_id: Buffer;
  phase: string;
  seats: Buffer;
  seat_count: number;
  total_amount_minor: number;
  expires_at: Date;
  held_until: Date;
  attempt: number;
  keyed: number;
  booking_date: Date;
  ended_at: Date | null;
}

/** One epoch more, if nobody else raised it: from here on nobody writes what an older life of Redis said. */
export const raiseEpochOf = async (sql: Sql, concertId: ConcertId, from: number): Promise<boolean> =>
  (await sql.run(raiseEpoch, [new Date(), concertId, from])) === 1;

export async function ticketStatesOf(sql: Sql, concertId: ConcertId): Promise<string[]> {
  const rows = await sql.rows<{ status: string }>(readTickets, [concertId]);
  return rows.map((row) => row.status);
}

const bookingsInOneRead = 1_000;

/** Live bookings and those that ended after `endedAfter`, a bounded number at a time. */
export async function* storedBookingsOf(
  sql: Sql,
  concertId: ConcertId,
  endedAfter: Date,
): AsyncGenerator<StoredBooking[]> {
  let after: Buffer = Buffer.alloc(16);
  for (;;) {
    const rows = await sql.rows<BookingRow>(readBookings, [concertId, after, endedAfter, bookingsInOneRead]);
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map(storedBookingOf);
    after = last.id;
  }
}

/** Back to the day the sale opened: development and tests only. The cursor stays, one epoch on. */
export async function clearConcert(shards: Shards, shard: Shards['all'][number], concertId: ConcertId): Promise<void> {
  await shard.transaction(async (sql) => {
    await sql.run(resetCursor, [new Date(), concertId]);
    await sql.run(deleteOwners, [concertId]);
    await sql.run(deleteBookings, [concertId]);
    await sql.run(deleteDead, [concertId]);
    await sql.run(freeTickets, [concertId]);
    await sql.run(countAvailable, [concertId, new Date(), concertId]);
  });
  for (const any of shards.all) await any.run(deleteUserBookings, [concertId]);
}

const storedBookingOf = (row: BookingRow): StoredBooking => ({
  id: formatUuid(row.id),
  userId: formatUuid(row.user_id),
  phase: phaseSchema.parse(row.phase),
  seats: row.seats.toString('latin1'),
  seatCount: row.seat_count,
  totalMinor: row.total_amount_minor,
  expiresAtMs: row.expires_at.getTime(),
  heldUntilMs: row.held_until.getTime(),
  attempt: row.attempt,
  keyed: row.keyed === 1,
  createdAtMs: row.booking_date.getTime(),
  endedAtMs: row.ended_at?.getTime() ?? null,
});
