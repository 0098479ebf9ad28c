import assert from 'node:assert/strict';

/**
 * Every bound of the system, in one place; their relations are asserted below when this file is imported.
 * Units stand at the end of each name. What an operator may change is read from the environment instead (env.ts of each service).
 */
export const limits = {
  /** Seats in one hold request; the most that one Lua call has to check for one fan. */
  seatsPerHoldMax: 20,
  /** Live seats (held, paying, sold) of one fan in one concert, unless the concert says less. */
  seatsPerUserMaxDefault: 8,
  seatsPerUserMaxMax: 100,
  /** Holds, live and ended, that are remembered for one fan of one concert; bounds the work of a script. */
  recordsPerFanMax: 128,
  seatsPerConcertMax: 200_000,
  concertsFollowedMax: 1_000,

  holdTtlMsDefault: 8 * 60_000,
  holdTtlMsMin: 10_000,
  holdTtlMsMax: 30 * 60_000,
  /** How long an Idempotency-Key is remembered after its hold ended. */
  idempotencyWindowMs: 24 * 3_600_000,
  /** The same for holds made without a key: long enough for the store's own repeats. */
  resendWindowMs: 60_000,

  /** Holds in one Lua call, and holds that may wait for a concert's next call before the service says `overloaded`. */
  batchHoldsMax: 128,
  batchWaitingMax: 20_000,
  batchGapMs: 1,
  redisCommandTimeoutMs: 1_000,
  /** A hold is answered, or refused with `unavailable`, within this time. */
  holdDeadlineMs: 4_000,

  sweepTickMs: 100,
  sweepIdleMs: 1_000,
  /** Expiry members (each at most one batch) that one sweep call takes. */
  sweepMembersMax: 2,

  /** Log entries that one persist transaction writes. */
  persistEntriesMax: 2_000,
  /** Log entries kept below the cursor for `events` and for gap recovery. */
  logKeepEntries: 20_000,
  relayTickMs: 30,
  relayJobTimeoutMs: 2_000,
  relayPollMs: 1_000,

  /** A payment must be able to end within this time after `begin`; the hold is extended to at least that. */
  paymentGraceMs: 60_000,
  paymentAttemptsMax: 5,
  providerTimeoutMsMax: 20_000,
  refundsPerPaymentMax: 10,
  /** How old, or how far ahead, a webhook's signed time may be. */
  webhookToleranceMs: 5 * 60_000,
  webhookBodyBytesMax: 32 * 1024,
  /** Payments that one worker drives at once; nearly all of that time is waiting for others. */
  paymentDrivesMax: 64,
  /** Steps of one drive: far more than any payment needs, so that a fault of ours cannot spin. */
  paymentStepsMax: 40,
  /** An unfinished payment that nothing moved for this long is driven again. */
  reconcileAfterMs: 5_000,
  reconcileTickMs: 2_000,
  /** Rows that one tick takes from a shard. */
  reconcileBatchMax: 200,

  deltaTickMs: 100,
  bodyBytesMax: 64 * 1024,
  internalBodyBytesMax: 4 * 1024 * 1024,
  headerValueBytesMax: 4_096,
  idempotencyKeyLengthMax: 128,
  socketsPerProcessMax: 50_000,
  verifiedTokensMax: 200_000,
  listLimitMax: 100,
  listLimitDefault: 20,
  eventsLimitMax: 1_000,
  passwordBytesMax: 72,
  passwordBytesMin: 10,
  /** Password hashes made or compared at once, waiting ones included: each takes about 50 ms of a core. */
  passwordJobsMax: 64,
  accessTokenTtlSeconds: 15 * 60,
} as const;

assert(limits.holdTtlMsMin <= limits.holdTtlMsDefault && limits.holdTtlMsDefault <= limits.holdTtlMsMax);
assert(limits.seatsPerHoldMax <= limits.seatsPerUserMaxMax);
assert(limits.seatsPerUserMaxDefault <= limits.seatsPerUserMaxMax);
assert(limits.batchHoldsMax < limits.batchWaitingMax);
assert(limits.redisCommandTimeoutMs < limits.holdDeadlineMs, 'a hold must survive one lost command');
assert(limits.providerTimeoutMsMax * 2 < limits.paymentGraceMs, 'a call and its repeat must fit in the extended hold');
assert(limits.paymentAttemptsMax <= limits.refundsPerPaymentMax, 'a stray charge of any attempt can go back');
assert(limits.webhookBodyBytesMax < 65_535, 'an event fits its TEXT column');
assert(limits.resendWindowMs > limits.holdDeadlineMs * 2, 'a repeated id must still be known');
assert(limits.idempotencyWindowMs > limits.holdTtlMsMax);
assert(limits.persistEntriesMax <= limits.logKeepEntries);
assert(limits.sweepTickMs < limits.holdTtlMsMin);
assert(limits.seatsPerHoldMax * 7 < 4_000, 'a seat list must fit its column (at most six digits and a comma a seat)');
assert(limits.passwordBytesMax <= 72, 'bcrypt reads 72 bytes');
