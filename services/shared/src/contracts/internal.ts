import { z } from 'zod';
import { limits } from '../limits.ts';
import {
  concertIdSchema,
  currencySchema,
  moneyMinorSchema,
  scopedIdSchema,
  timeSchema,
  userIdSchema,
} from './common.ts';

/** What the services ask of one another: idempotent, signed with a service token, never reachable through the origin. */
const holdTtlMs = z.number().int().min(limits.holdTtlMsMin).max(limits.holdTtlMsMax);
const seatIndexes = z.array(z.number().int().min(0).max(limits.seatsPerConcertMax)).min(1).max(limits.seatsPerHoldMax);

export const createConcertBody = z.strictObject({
  id: concertIdSchema,
  name: z.string().min(1).max(120),
  artist: z.string().min(1).max(120),
  venueId: z.string().min(1).max(64),
  startsAt: timeSchema,
  opensAt: timeSchema,
  closesAt: timeSchema,
  holdTtlMs: holdTtlMs.default(limits.holdTtlMsDefault),
  seatsPerUserMax: z.number().int().min(1).max(limits.seatsPerUserMaxMax).default(limits.seatsPerUserMaxDefault),
  saleOverride: z.enum(['none', 'paused', 'closed']).default('none'),
});
export const createConcertReply = z.strictObject({ id: concertIdSchema, seatCount: z.number().int() });
export const venueReply = z.strictObject({
  venueId: z.string(),
  layoutVersion: z.number().int(),
  seatCount: z.number().int(),
});

export const resetConcertBody = z.strictObject({
  holdTtlMs: holdTtlMs.optional(),
  seatsPerUserMax: z.number().int().min(1).max(limits.seatsPerUserMaxMax).optional(),
  opensAt: timeSchema.optional(),
  closesAt: timeSchema.optional(),
});
export const resetConcertReply = z.strictObject({ concertId: concertIdSchema, epoch: z.number().int() });

export const recoverReply = z.strictObject({
  concertId: concertIdSchema,
  epoch: z.number().int(),
  /** Log entries that Redis still had beyond the cursor and that were written first. */
  persisted: z.number().int(),
  restoredHolds: z.number().int(),
  /** Changes that were seen live and are neither in Redis' log nor in MySQL: at least these are gone. */
  lostAtLeast: z.number().int(),
  lastDurable: z.string(),
});

export const beginBody = z.strictObject({ userId: userIdSchema, attempt: z.number().int().min(1).max(1_000) });
export const beginReply = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('begun'),
    seats: seatIndexes,
    amountMinor: moneyMinorSchema,
    currency: currencySchema,
    expiresAt: timeSchema,
  }),
  z.strictObject({
    outcome: z.enum(['not_found', 'hold_expired', 'already_paid', 'stale_attempt', 'payment_attempts_exhausted']),
  }),
]);
export type BeginReply = z.infer<typeof beginReply>;

export const releasePaymentBody = beginBody;
export const releasePaymentReply = z.strictObject({ outcome: z.enum(['released', 'stale_attempt', 'not_found']) });

export const settleBody = z.strictObject({
  userId: userIdSchema,
  seats: seatIndexes,
  amountMinor: moneyMinorSchema,
  currency: currencySchema,
});
export const settleReply = z.strictObject({
  outcome: z.enum(['sold', 'lost']),
  /** True when MySQL has the booking as confirmed (or the loss is final): only then may the payment complete. */
  durable: z.boolean(),
});
export type SettleReply = z.infer<typeof settleReply>;

export const cancelBody = settleBody;
export const cancelReply = z.strictObject({
  outcome: z.literal('cancelled'),
  /**
   * True when MySQL has the booking as finally lost. The refund waits for it: a loss of Redis must not bring back a sold
   * booking whose money is on its way home.
   */
  durable: z.boolean(),
});
export type CancelReply = z.infer<typeof cancelReply>;
export const bookingIdParams = z.strictObject({ holdId: scopedIdSchema });

export const deadChangesReply = z.strictObject({
  replayed: z.number().int(),
  items: z.array(z.strictObject({ id: z.string(), kind: z.string(), reason: z.string(), detail: z.string() })),
});
