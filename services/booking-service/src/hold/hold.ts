import type { ConcertId, HoldId, UserId } from '@frontrow/shared/ids.ts';
import { keyedHoldId, randomHoldId } from '@frontrow/shared/ids.ts';
import { fail, ok, type Result } from '@frontrow/shared/result.ts';
import type { HoldRequest } from './hold.store.ts';

/** What deciding about a hold needs of a concert. */
export interface HoldableConcert {
  id: ConcertId;
  opensAtMs: number;
  closesAtMs: number;
  saleOverride: 'none' | 'paused' | 'closed';
  layout: { seatIndexByLabel: ReadonlyMap<string, number>; priceMinorByIndex: Float64Array };
}

/** What the seat map in memory knows. */
export interface LiveSeats {
  takenByOthers(seats: readonly number[], asker: UserId): number[];
}

interface Wish {
  userId: UserId;
  labels: readonly string[];
  idempotencyKey: string | undefined;
}

/** Names the seats by index, in ascending order. Fails with the labels that the layout does not have. */
export function seatsOfLabels(concert: HoldableConcert, labels: readonly string[]): Result<number[], string[]> {
  const unknown = labels.filter((label) => !concert.layout.seatIndexByLabel.has(label));
  if (unknown.length > 0) return fail(unknown);
  return ok(labels.map((label) => concert.layout.seatIndexByLabel.get(label) ?? -1).sort((a, b) => a - b));
}

/** The command that Redis decides about: id, seats and the total at today's prices. */
export function holdRequest(
  secret: string,
  concert: HoldableConcert,
  wish: Wish,
  seats: readonly number[],
): HoldRequest {
  const keyed = wish.idempotencyKey !== undefined;
  const holdId: HoldId =
    wish.idempotencyKey === undefined
      ? randomHoldId(concert.id)
      : keyedHoldId(secret, concert.id, wish.userId, wish.idempotencyKey);
  const totalMinor = seats.reduce((sum, seat) => sum + (concert.layout.priceMinorByIndex[seat] ?? 0), 0);
  return { concertId: concert.id, holdId, userId: wish.userId, keyed, totalMinor, seats };
}

type EarlyRefusal = { status: 'seats_taken'; seats: number[] } | { status: 'sale_not_open'; opensAtMs: number } | null;

/** Clocks differ: what is this near to the opening is left to Redis' clock. */
const clockToleranceMs = 5_000;

/**
 * Refuses from memory what Redis would surely refuse. Never because of seats that the asker may hold: their own retry must
 * get its hold again. A sale that has not opened has no holds to retry.
 */
export function refuseEarly(
  concert: HoldableConcert,
  live: LiveSeats,
  userId: UserId,
  seats: readonly number[],
  nowMs: number,
): EarlyRefusal {
  if (nowMs < concert.opensAtMs - clockToleranceMs) return { status: 'sale_not_open', opensAtMs: concert.opensAtMs };
  const taken = live.takenByOthers(seats, userId);
  return taken.length > 0 ? { status: 'seats_taken', seats: taken } : null;
}
