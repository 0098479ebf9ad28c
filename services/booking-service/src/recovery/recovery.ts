import { seatStates } from '@frontrow/shared/contracts/change.ts';
import { bucketOfConcert, type ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import type { Database, Shards, Sql } from '@frontrow/shared/mysql/pool.ts';
import type { LogPlace } from '../engine/log.ts';
import type { ConcertScripts } from '../engine/scripts.ts';
import { clearConcert, raiseEpochOf, type StoredBooking, storedBookingsOf, ticketStatesOf } from './recovery.repo.ts';

/** What opening a concert in Redis takes. */
interface RecoverableConcert {
  id: ConcertId;
  opensAtMs: number;
  closesAtMs: number;
  saleOverride: string;
  holdTtlMs: number;
  seatsPerUserMax: number;
  layout: { layoutVersion: number; seatCount: number };
}

interface RecoveryOptions {
  scripts: ConcertScripts;
  shards: Shards;
  log: Logger;
  readCursor: (sql: Sql, concertId: ConcertId) => Promise<{ epoch: number; last: LogPlace } | null>;
  /** Stores what Redis' log still has beyond the cursor. */
  persistRest: (concertId: ConcertId) => Promise<number>;
  /** The newest change that this process saw live; it may be lost by now. */
  seen: (concertId: ConcertId) => LogPlace;
  /** The newest change in Redis' log as it is. */
  lastInLog: (concertId: ConcertId) => Promise<LogPlace | null>;
}

export interface RecoveryReport {
  concertId: ConcertId;
  epoch: number;
  persisted: number;
  restoredHolds: number;
  lostAtLeast: number;
  lastDurable: string;
}

const recordsInOneCall = 500;

/**
 * Gives a concert a new life in Redis, after a restart, a fail-over, a restore from backup or a flush, and opens it for the
 * first time: raises the epoch in MySQL, stores what Redis' log still has, then builds the keys anew from MySQL alone. What
 * was never stored is lost, and said; nothing that was sold is.
 */
export class Recovery {
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** @returns null when another process recovers this concert now. */
  async recover(concert: RecoverableConcert): Promise<RecoveryReport | null> {
    const shard = this.#shardOf(concert.id);
    return shard.withLock(`frontrow-recover-${concert.id}`, async () => {
      const seenBefore = this.#options.seen(concert.id);
      const inLog = await this.#options.lastInLog(concert.id);
      const epoch = await this.#nextEpoch(shard, concert.id);
      const persisted = await this.#options.persistRest(concert.id);
      const cursor = await this.#cursor(shard, concert.id);
      const restoredHolds = await this.#rebuild(shard, concert, epoch);
      const report = {
        concertId: concert.id,
        epoch,
        persisted,
        restoredHolds,
        lostAtLeast: Math.max(missing(seenBefore, cursor.last), missing(inLog ?? cursor.last, cursor.last)),
        lastDurable: `${cursor.last.epoch}-${cursor.last.n}`,
      };
      if (epoch === 1) this.#options.log.info(report, 'a concert was opened');
      else this.#options.log.warn(report, 'a concert was recovered');
      return report;
    });
  }

  /** Development and tests only: the concert as on its first day. */
  async reset(concert: RecoverableConcert): Promise<{ epoch: number } | null> {
    const shard = this.#shardOf(concert.id);
    return shard.withLock(`frontrow-recover-${concert.id}`, async () => {
      const epoch = await this.#nextEpoch(shard, concert.id);
      await clearConcert(this.#options.shards, shard, concert.id);
      await this.#rebuild(shard, concert, epoch);
      return { epoch };
    });
  }

  async #nextEpoch(shard: Database, concertId: ConcertId): Promise<number> {
    const { epoch } = await this.#cursor(shard, concertId);
    if (!(await raiseEpochOf(shard, concertId, epoch)))
      throw new Error(`The epoch of concert ${concertId} was raised by somebody else.`);
    return epoch + 1;
  }

  async #cursor(shard: Database, concertId: ConcertId): Promise<{ epoch: number; last: LogPlace }> {
    const cursor = await this.#options.readCursor(shard, concertId);
    if (cursor === null) throw new Error(`Concert ${concertId} has no cursor on its shard.`);
    return cursor;
  }

  /** @returns how many records were written. */
  async #rebuild(shard: Database, concert: RecoverableConcert, epoch: number): Promise<number> {
    const endedAfter = new Date(Date.now() - limits.idempotencyWindowMs);
    const seats = blockedSeats(await ticketStatesOf(shard, concert.id), concert);
    const records: StoredBooking[] = [];
    for await (const bookings of storedBookingsOf(shard, concert.id, endedAfter)) {
      for (const booking of bookings) occupy(seats, booking);
      records.push(...bookings);
    }
    await this.#stage(concert.id, ['start', epoch, seats.toString('latin1')]);
    for (let from = 0; from < records.length; from += recordsInOneCall) {
      await this.#stage(concert.id, [
        'holds',
        epoch,
        ...records.slice(from, from + recordsInOneCall).flatMap(recordArguments),
      ]);
    }
    const { layout, opensAtMs, closesAtMs, saleOverride, holdTtlMs, seatsPerUserMax } = concert;
    await this.#stage(concert.id, [
      'open',
      epoch,
      layout.layoutVersion,
      opensAtMs,
      closesAtMs,
      saleOverride,
      holdTtlMs,
      seatsPerUserMax,
    ]);
    return records.length;
  }

  async #stage(concertId: ConcertId, args: (string | number)[]): Promise<void> {
    const [status] = await this.#options.scripts.run('restore', concertId, args);
    if (status !== 'done') throw new Error(`The restore of concert ${concertId} was overtaken by a newer one.`);
  }

  #shardOf(concertId: ConcertId): Database {
    return this.#options.shards.ofBucket(bucketOfConcert(concertId));
  }
}

/** How many changes lie between what was seen and what is stored, as far as their numbers tell. */
function missing(seen: LogPlace, stored: LogPlace): number {
  if (seen.epoch === stored.epoch) return Math.max(0, seen.n - stored.n);
  // Of a later life nothing is stored; its first entry, `restored`, is no change of a booking.
  return seen.epoch > stored.epoch ? seen.n : 0;
}

/** A free seat map but for the blocked seats: the rest follows from the bookings. */
function blockedSeats(statuses: readonly string[], concert: RecoverableConcert): Buffer {
  if (statuses.length !== concert.layout.seatCount) {
    throw new Error(`Concert ${concert.id} has ${statuses.length} tickets and ${concert.layout.seatCount} seats.`);
  }
  return Buffer.from(
    statuses.map((status) => (status === 'blocked' ? seatStates.blocked : seatStates.free)).join(''),
    'latin1',
  );
}

/** Two live bookings of one seat mean that a guard failed: better no sale than a double one. */
function occupy(seats: Buffer, booking: StoredBooking): void {
  const state = booking.phase === 'sold' ? seatStates.sold : seatStates.held;
  if (booking.phase === 'ended' || booking.phase === 'lost') return;
  for (const seat of booking.seats.split(',').map(Number)) {
    if (seats[seat] !== seatStates.free.charCodeAt(0))
      throw new Error(`Seat ${seat} has more than one live booking; one is ${booking.id}.`);
    seats[seat] = state.charCodeAt(0);
  }
}

function recordArguments(booking: StoredBooking): (string | number)[] {
  const keepUntil = booking.endedAtMs === null ? 0 : booking.endedAtMs + limits.idempotencyWindowMs;
  return [
    booking.userId,
    booking.id,
    booking.phase,
    booking.seatCount,
    booking.seats,
    booking.totalMinor,
    booking.expiresAtMs,
    booking.heldUntilMs,
    booking.attempt,
    booking.keyed ? 1 : 0,
    booking.createdAtMs,
    keepUntil,
  ];
}
