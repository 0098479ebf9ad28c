import {
  type Change,
  type ChangedBooking,
  type SeatState,
  seatStates,
  versionOf,
} from '@frontrow/shared/contracts/change.ts';
import { statusOfPhase } from '@frontrow/shared/contracts/hold.ts';
import { bucketOfUser, type ConcertId, uuidToBytes } from '@frontrow/shared/ids.ts';
import { type Shards, type Sql, statement } from '@frontrow/shared/mysql/pool.ts';
import type { LogPlace } from '../engine/log.ts';

export interface Cursor {
  /** The life of the concert's state in Redis that may be written now. */
  epoch: number;
  /** The last change that the rows have. */
  last: LogPlace;
}

/** A log entry as Redis gave it: its id and its field `c`. */
export interface RawEntry {
  id: string;
  text: string;
}

const readCursor = statement(
  'persist.readCursor',
  'SELECT epoch, last_epoch, last_n FROM log_cursor WHERE concert_id = ?',
);
const moveCursor = statement(
  'persist.moveCursor',
  `UPDATE log_cursor SET last_epoch = ?, last_n = ?, updated_at = ?
   WHERE concert_id = ? AND epoch = ? AND last_epoch = ? AND last_n = ?`,
);
const readCurrency = statement('persist.readCurrency', 'SELECT currency FROM concerts WHERE concert_id = ?');
// `version` is assigned last: the conditions before it must compare with the stored one.
const keepNewer = (columns: string[]) =>
  columns.map((name) => `${name} = IF(VALUES(version) > version, VALUES(${name}), ${name})`).join(', ');
const upsertBookings = statement(
  'persist.upsertBookings',
  `INSERT INTO bookings (concert_id, id, user_id, status, phase, seats, seat_count, total_amount_minor, currency, attempt, keyed,
     expires_at, held_until, booking_date, ended_at, version) VALUES ?
   ON DUPLICATE KEY UPDATE ${keepNewer(['status', 'phase', 'seats', 'seat_count', 'total_amount_minor', 'attempt', 'expires_at', 'held_until', 'ended_at'])},
     version = GREATEST(version, VALUES(version))`,
);
const takeAvailable = statement(
  'persist.takeAvailable',
  `UPDATE tickets SET status = ?, version = ? WHERE concert_id = ? AND seat_index IN (?) AND status = 'available' AND version < ?`,
);
const changeTaken = statement(
  'persist.changeTaken',
  `UPDATE tickets SET status = ?, version = ? WHERE concert_id = ? AND seat_index IN (?) AND status IN ('booked', 'sold') AND version < ?`,
);
const moveAvailable = statement(
  'persist.moveAvailable',
  'UPDATE concerts SET available_tickets = available_tickets + ?, updated_at = ? WHERE concert_id = ?',
);
const deleteOwners = statement(
  'persist.deleteOwners',
  'DELETE FROM booking_tickets WHERE concert_id = ? AND booking_id IN (?)',
);
const insertOwners = statement(
  'persist.insertOwners',
  'INSERT INTO booking_tickets (concert_id, booking_id, seat_index) VALUES ?',
);
const ownersOfSeats = statement(
  'persist.ownersOfSeats',
  'SELECT seat_index, booking_id FROM booking_tickets WHERE concert_id = ? AND seat_index IN (?)',
);
const storedVersion = statement(
  'persist.storedVersion',
  'SELECT version FROM bookings WHERE concert_id = ? AND id = ?',
);
const insertDead = statement(
  'persist.insertDead',
  `INSERT INTO dead_changes (concert_id, change_epoch, change_n, booking_id, kind, reason, detail, payload, created_at)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
const listDead = statement(
  'persist.listDead',
  `SELECT change_epoch, change_n, kind, reason, detail, payload FROM dead_changes
   WHERE concert_id = ? AND replayed_at IS NULL ORDER BY change_epoch, change_n LIMIT 1000`,
);
const markReplayed = statement(
  'persist.markReplayed',
  'UPDATE dead_changes SET replayed_at = ? WHERE concert_id = ? AND change_epoch = ? AND change_n = ? AND replayed_at IS NULL',
);
const insertUserBookings = statement(
  'persist.insertUserBookings',
  'INSERT INTO user_bookings (user_id, booking_id, concert_id, created_at) VALUES ? ON DUPLICATE KEY UPDATE booking_id = VALUES(booking_id)',
);
const savepoint = statement('persist.savepoint', 'SAVEPOINT batch');
const rollbackToSavepoint = statement('persist.rollbackToSavepoint', 'ROLLBACK TO SAVEPOINT batch');

const ticketStatus: Readonly<Record<SeatState, string>> = {
  '0': 'available',
  '1': 'booked',
  '2': 'sold',
  '3': 'blocked',
};

export const readCursorOf = async (sql: Sql, concertId: ConcertId): Promise<Cursor | null> => {
  const [row] = await sql.rows<{ epoch: number; last_epoch: number; last_n: number }>(readCursor, [concertId]);
  return row ? { epoch: row.epoch, last: { epoch: row.last_epoch, n: row.last_n } } : null;
};

/**
 * Moves the cursor from one place to another, if nobody else has: the guard that makes every repeat harmless. The row's lock
 * is held until the transaction ends, so two workers of one concert write one after the other.
 */
export const moveCursorOf = async (sql: Sql, concertId: ConcertId, cursor: Cursor, to: LogPlace): Promise<boolean> =>
  (await sql.run(moveCursor, [
    to.epoch,
    to.n,
    new Date(),
    concertId,
    cursor.epoch,
    cursor.last.epoch,
    cursor.last.n,
  ])) === 1;

export const currencyOf = async (sql: Sql, concertId: ConcertId): Promise<string> => {
  const [row] = await sql.rows<{ currency: string }>(readCurrency, [concertId]);
  if (row === undefined) throw new Error(`Concert ${concertId} is not on this shard.`);
  return row.currency;
};

export const setSavepoint = (sql: Sql): Promise<number> => sql.run(savepoint, []);
export const backToSavepoint = (sql: Sql): Promise<number> => sql.run(rollbackToSavepoint, []);

/** A fan's seats have an owner already: the last guard against a double sale has spoken. */
export class DoubleSaleError extends Error {
  override readonly name = 'DoubleSaleError';
}

/**
 * Writes changes in the log's order: what counts of a booking, and of a seat, is its last state among them. Safe to repeat:
 * a row that is newer than the change keeps what it has.
 */
export async function writeChanges(
  sql: Sql,
  concertId: ConcertId,
  currency: string,
  changes: readonly Change[],
): Promise<void> {
  const last = changes.at(-1);
  if (last === undefined) return;
  await writeBookings(sql, concertId, currency, changes);
  await writeOwners(sql, concertId, changes);
  await writeTickets(sql, concertId, changes, versionOf(last.epoch, last.n));
}

type BookingChange = Change & { booking: ChangedBooking };
const isBookingChange = (change: Change): change is BookingChange => change.booking !== null;

function lastChangeOfEach(changes: readonly Change[]): BookingChange[] {
  const last = new Map<string, BookingChange>();
  for (const change of changes) if (isBookingChange(change)) last.set(change.booking.id, change);
  return [...last.values()];
}

async function writeBookings(
  sql: Sql,
  concertId: ConcertId,
  currency: string,
  changes: readonly Change[],
): Promise<void> {
  const rows = lastChangeOfEach(changes).map(({ epoch, n, atMs, booking }) => [
    concertId,
    uuidToBytes(booking.id),
    uuidToBytes(booking.userId),
    statusOfPhase[booking.phase],
    booking.phase,
    booking.seats.join(),
    booking.seats.length,
    booking.totalMinor,
    currency,
    booking.attempt,
    booking.keyed,
    new Date(booking.expiresAtMs),
    new Date(booking.heldUntilMs),
    new Date(booking.createdAtMs),
    statusOfPhase[booking.phase] === 'cancelled' ? new Date(atMs) : null,
    versionOf(epoch, n),
  ]);
  if (rows.length > 0) await sql.run(upsertBookings, [rows]);
}

/** Ownership is written at confirmation only, by a plain INSERT: a second owner of a seat fails. */
async function writeOwners(sql: Sql, concertId: ConcertId, changes: readonly Change[]): Promise<void> {
  const last = lastChangeOfEach(changes);
  const gone = last.filter(({ kind }) => kind === 'cancel').map(({ booking }) => uuidToBytes(booking.id));
  if (gone.length > 0) await sql.run(deleteOwners, [concertId, gone]);
  const sold = last.filter(({ kind, booking }) => kind === 'settle' && booking.phase === 'sold');
  const rows = sold.flatMap(({ booking }) => booking.seats.map((seat) => [concertId, uuidToBytes(booking.id), seat]));
  if (rows.length > 0) await sql.run(insertOwners, [rows]);
}

async function writeTickets(
  sql: Sql,
  concertId: ConcertId,
  changes: readonly Change[],
  version: number,
): Promise<void> {
  const stateOfSeat = new Map<number, SeatState>();
  for (const { booking, seatState } of changes) {
    if (booking !== null && seatState !== '-') for (const seat of booking.seats) stateOfSeat.set(seat, seatState);
  }
  let becameAvailable = 0;
  for (const state of [seatStates.free, seatStates.held, seatStates.sold]) {
    const seats = [...stateOfSeat].filter(([, target]) => target === state).map(([seat]) => seat);
    if (seats.length === 0) continue;
    const status = ticketStatus[state];
    const changedTaken = await sql.run(changeTaken, [status, version, concertId, seats, version]);
    if (state === seatStates.free) becameAvailable += changedTaken;
    else becameAvailable -= await sql.run(takeAvailable, [status, version, concertId, seats, version]);
  }
  if (becameAvailable !== 0) await sql.run(moveAvailable, [becameAvailable, new Date(), concertId]);
}

/** @returns another owner of one of these seats, in hexadecimal; null when there is none. */
export async function otherOwner(sql: Sql, concertId: ConcertId, booking: ChangedBooking): Promise<string | null> {
  const own = uuidToBytes(booking.id);
  const rows = await sql.rows<{ seat_index: number; booking_id: Buffer }>(ownersOfSeats, [concertId, booking.seats]);
  return rows.find((row) => !row.booking_id.equals(own))?.booking_id.toString('hex') ?? null;
}

/** True when the booking's row is at this change already, or past it. */
export async function isStored(sql: Sql, concertId: ConcertId, change: Change): Promise<boolean> {
  if (change.booking === null) return true;
  const [row] = await sql.rows<{ version: number }>(storedVersion, [concertId, uuidToBytes(change.booking.id)]);
  return row !== undefined && row.version >= versionOf(change.epoch, change.n);
}

export interface DeadChange {
  place: LogPlace;
  entry: RawEntry;
  kind: string;
  reason: string;
  detail: string;
}

export async function insertDeadChange(
  sql: Sql,
  concertId: ConcertId,
  dead: DeadChange,
  change: Change | null,
): Promise<void> {
  await sql.run(insertDead, [
    concertId,
    dead.place.epoch,
    dead.place.n,
    change?.booking ? uuidToBytes(change.booking.id) : null,
    dead.kind,
    dead.reason,
    dead.detail.slice(0, 500),
    JSON.stringify(dead.entry),
    new Date(),
  ]);
}

export async function listDeadChanges(sql: Sql, concertId: ConcertId): Promise<DeadChange[]> {
  const rows = await sql.rows<{
    change_epoch: number;
    change_n: number;
    kind: string;
    reason: string;
    detail: string;
    payload: string;
  }>(listDead, [concertId]);
  return rows.map((row) => ({
    place: { epoch: row.change_epoch, n: row.change_n },
    entry: JSON.parse(row.payload) as RawEntry,
    kind: row.kind,
    reason: row.reason,
    detail: row.detail,
  }));
}

export const markDeadReplayed = async (sql: Sql, concertId: ConcertId, place: LogPlace): Promise<boolean> =>
  (await sql.run(markReplayed, [new Date(), concertId, place.epoch, place.n])) === 1;

/**
 * The index from a fan to their bookings, on the fans' own shards: written before the rows it leads to, because a transaction
 * does not span shards. A place that leads nowhere is skipped by its reader.
 */
export async function writeUserBookings(
  shards: Shards,
  concertId: ConcertId,
  changes: readonly Change[],
): Promise<void> {
  const rowsByShard = new Map<ReturnType<Shards['ofBucket']>, (Buffer | number | Date)[][]>();
  for (const { kind, booking } of changes) {
    if (booking === null || (kind !== 'hold' && kind !== 'settle')) continue;
    const shard = shards.ofBucket(bucketOfUser(booking.userId));
    const row = [uuidToBytes(booking.userId), uuidToBytes(booking.id), concertId, new Date(booking.createdAtMs)];
    rowsByShard.set(shard, [...(rowsByShard.get(shard) ?? []), row]);
  }
  await Promise.all([...rowsByShard].map(([shard, rows]) => shard.run(insertUserBookings, [rows])));
}
