import { createHash } from 'node:crypto';
import type { ErrorCode } from '@frontrow/shared/errors.ts';
import { paymentIdOf } from '@frontrow/shared/ids.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { fail, ok, type Result } from '@frontrow/shared/result.ts';
import type { BookingClient } from '../booking/booking.client.ts';
import type { NewAttempt, PaymentRepo } from './payment.repo.ts';
import { admit } from './payment.ts';

export interface StartDeps {
  payments: PaymentRepo;
  booking: BookingClient;
  /** Tells a worker; may fail, because the reconciler finds the row as well. */
  enqueue: (paymentId: string) => Promise<void>;
  /** Shared by all processes that make payment ids. */
  idSecret: string;
  log: Logger;
}
export interface StartCommand {
  userId: string;
  bookingId: string;
  paymentMethod: string;
  idempotencyKey: string;
}
/** An attempt that was taken: the answer is the same whenever it is asked with the same key. */
export interface Started {
  id: string;
  bookingId: string;
  status: 'pending';
  amountMinor: number;
  currency: string;
  attempt: number;
}
type Refusal = Extract<
  ErrorCode,
  | 'not_found'
  | 'hold_expired'
  | 'already_paid'
  | 'payment_pending'
  | 'payment_attempts_exhausted'
  | 'idempotency_key_reused'
>;

/** Other requests for the same booking may be a step ahead; after this many looks it is said that a payment is running. */
const looksMax = 4;

/**
 * Takes a payment: the hold is asked first, the row is written before any money can move, then a worker is told. A crash
 * between two of these leaves a hold that runs out by itself, or a row that the reconciler finds; a repeat goes on from there.
 * @throws UnavailableError when MySQL or booking-service is away; the same request may be repeated.
 */
export async function startPayment(deps: StartDeps, command: StartCommand): Promise<Result<Started, Refusal>> {
  const { userId, bookingId, paymentMethod, idempotencyKey } = command;
  const id = paymentIdOf(deps.idSecret, bookingId);
  const requestHash = hashOf(command);
  const started = (attempt: number, frozen: { amountMinor: number; currency: string }) => {
    const { amountMinor, currency } = frozen;
    return ok<Started>({ id, bookingId, status: 'pending', amountMinor, currency, attempt });
  };
  for (let looks = 0; looks < looksMax; looks += 1) {
    const payment = await deps.payments.read(id);
    if (payment !== null && payment.userId !== userId) return fail('not_found');
    const attempts = payment === null ? [] : await deps.payments.readAttempts(id);
    const admission = admit(payment, attempts, { idempotencyKey, requestHash });
    if (admission.do === 'refuse') return fail(admission.code);
    if (admission.do === 'replay' && payment !== null) return started(admission.attempt, payment);

    const begun = await deps.booking.begin(bookingId, userId, admission.attempt);
    if (begun.outcome === 'stale_attempt') continue;
    if (begun.outcome !== 'begun') return fail(begun.outcome);
    const next: NewAttempt = {
      attempt: admission.attempt,
      idempotencyKey,
      requestHash,
      paymentMethod,
      holdExpiresAtMs: Date.parse(begun.expiresAt),
    };
    const { seats, amountMinor, currency } = begun;
    const written =
      payment === null
        ? await deps.payments.insert({ id, bookingId, userId, seats, amountMinor, currency }, next)
        : await deps.payments.move(payment, { event: 'retried', next });
    // Somebody else wrote first: look again.
    if (!written) continue;
    await deps.enqueue(id).catch((error: unknown) => {
      deps.log.warn({ paymentId: id, reason: String(error) }, 'no worker could be told; the reconciler will');
    });
    return started(next.attempt, payment ?? begun);
  }
  return fail('payment_pending');
}

/** The same key with another body is refused by this. */
const hashOf = ({ bookingId, paymentMethod }: StartCommand): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([bookingId, paymentMethod]))
    .digest();
