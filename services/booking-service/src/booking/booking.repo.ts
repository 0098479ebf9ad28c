import { type Phase, phaseSchema } from '@frontrow/shared/contracts/hold.ts';
import {
  bucketOfConcert,
  bucketOfUser,
  type ConcertId,
  formatUuid,
  type HoldId,
  type UserId,
  uuidToBytes,
} from '@frontrow/shared/ids.ts';
import { type Shards, statement } from '@frontrow/shared/mysql/pool.ts';

const bookingColumns =
  'concert_id, id, user_id, phase, seats, total_amount_minor, currency, expires_at, booking_date, version';
const findOne = statement('booking.find', `SELECT ${bookingColumns} FROM bookings WHERE concert_id = ? AND id = ?`);
const findSome = statement(
  'booking.findSome',
  `SELECT ${bookingColumns} FROM bookings WHERE concert_id = ? AND id IN (?)`,
);
const listOfUser = statement(
  'booking.listOfUser',
  'SELECT booking_id, concert_id, created_at FROM user_bookings WHERE user_id = ? ORDER BY created_at DESC, booking_id DESC LIMIT ?',
);
const listOfUserAfter = statement(
  'booking.listOfUserAfter',
  `SELECT booking_id, concert_id, created_at FROM user_bookings
   WHERE user_id = ? AND (created_at, booking_id) < (?, ?) ORDER BY created_at DESC, booking_id DESC LIMIT ?`,
);
const deadConfirmation = statement(
  'booking.deadConfirmation',
  `SELECT reason FROM dead_changes WHERE concert_id = ? AND booking_id = ? AND kind = 'settle' AND replayed_at IS NULL LIMIT 1`,
);

export interface Booking {
  concertId: ConcertId;
  id: HoldId;
  userId: UserId;
  phase: Phase;
  seats: number[];
  totalMinor: number;
  currency: string;
  expiresAtMs: number;
  createdAtMs: number;
}

interface BookingRow {
  concert_id: number;
  id: Buffer;
  user_id: Buffer;
  phase: string;
  seats: Buffer;
  total_amount_minor: number;
  currency: string;
  expires_at: Date;
  booking_date: Date;
}

export interface BookingPlace {
  createdAtMs: number;
  bookingId: HoldId;
}

/** Bookings as the database has them: what is here survives the loss of Redis. */
export class BookingRepo {
  readonly #shards: Shards;

  constructor(shards: Shards) {
    this.#shards = shards;
  }

  async find(concertId: ConcertId, id: HoldId): Promise<Booking | null> {
    const [row] = await this.#shards
      .ofBucket(bucketOfConcert(concertId))
      .rows<BookingRow>(findOne, [concertId, uuidToBytes(id)]);
    return row ? bookingOf(row) : null;
  }

  /** The newest bookings of a fan first. @param after the last one of the page before. */
  async listOfUser(
    userId: UserId,
    limit: number,
    after?: BookingPlace,
  ): Promise<{ items: Booking[]; next: BookingPlace | null }> {
    const shard = this.#shards.ofBucket(bucketOfUser(userId));
    const user = uuidToBytes(userId);
    const rows = await (after
      ? shard.rows<{ booking_id: Buffer; concert_id: number; created_at: Date }>(listOfUserAfter, [
          user,
          new Date(after.createdAtMs),
          uuidToBytes(after.bookingId),
          limit + 1,
        ])
      : shard.rows<{ booking_id: Buffer; concert_id: number; created_at: Date }>(listOfUser, [user, limit + 1]));
    const places = rows.slice(0, limit).map((row) => ({
      concertId: row.concert_id,
      bookingId: formatUuid(row.booking_id),
      createdAtMs: row.created_at.getTime(),
    }));
    const found = await this.#findAll(places);
    const last = places.at(-1);
    return {
      // The index is written before the booking's own transaction commits: what it leads to may not be there yet.
      items: places.flatMap(({ bookingId }) => found.get(bookingId) ?? []),
      next: rows.length > limit && last ? { createdAtMs: last.createdAtMs, bookingId: last.bookingId } : null,
    };
  }

  /** The reason why this booking's confirmation could not be written, when it stands among the dead changes. */
  async deadConfirmation(concertId: ConcertId, id: HoldId): Promise<string | null> {
    const [row] = await this.#shards
      .ofBucket(bucketOfConcert(concertId))
      .rows<{ reason: string }>(deadConfirmation, [concertId, uuidToBytes(id)]);
    return row?.reason ?? null;
  }

  async #findAll(places: readonly { concertId: ConcertId; bookingId: HoldId }[]): Promise<Map<HoldId, Booking>> {
    const byConcert = new Map<ConcertId, Buffer[]>();
    for (const { concertId, bookingId } of places)
      byConcert.set(concertId, [...(byConcert.get(concertId) ?? []), uuidToBytes(bookingId)]);
    const lists = await Promise.all(
      [...byConcert].map(([concertId, ids]) =>
        this.#shards.ofBucket(bucketOfConcert(concertId)).rows<BookingRow>(findSome, [concertId, ids]),
      ),
    );
    return new Map(lists.flat().map((row) => [formatUuid(row.id), bookingOf(row)]));
  }
}

const bookingOf = (row: BookingRow): Booking => ({
  concertId: row.concert_id,
  id: formatUuid(row.id),
  userId: formatUuid(row.user_id),
  phase: phaseSchema.parse(row.phase),
  seats: row.seats.toString('latin1').split(',').map(Number),
  totalMinor: row.total_amount_minor,
  currency: row.currency,
  expiresAtMs: row.expires_at.getTime(),
  createdAtMs: row.booking_date.getTime(),
});
