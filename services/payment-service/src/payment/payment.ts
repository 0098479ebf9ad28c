import type { PaymentStatus, paymentReply } from '@frontrow/shared/contracts/payment.ts';
import type { z } from 'zod';

/**
 * The life of a payment as data: no other move is possible, because the repository moves a payment's status only by naming
 * one of these events. `none` is a payment that has no row yet. The compare-and-set on the row is the one decision about
 * money: whoever loses it reads the row again and does what it says.
 */
export type PaymentEvent =
  | 'posted'
  | 'declined'
  | 'retried'
  | 'charged'
  | 'settled'
  | 'lost'
  | 'cancelled'
  | 'refunded';
interface Transition {
  from: readonly (PaymentStatus | 'none')[];
  event: PaymentEvent;
  to: PaymentStatus;
}

export const transitions: readonly Transition[] = [
  { from: ['none'], event: 'posted', to: 'pending' },
  { from: ['pending'], event: 'declined', to: 'failed' },
  { from: ['failed'], event: 'retried', to: 'pending' },
  { from: ['pending', 'failed'], event: 'charged', to: 'captured' },
  { from: ['captured'], event: 'settled', to: 'completed' },
  { from: ['captured'], event: 'lost', to: 'refunding' },
  { from: ['completed'], event: 'cancelled', to: 'refunding' },
  { from: ['refunding'], event: 'refunded', to: 'refunded' },
];

export function transitionOf(event: PaymentEvent): Transition {
  const found = transitions.find((transition) => transition.event === event);
  if (found === undefined) throw new RangeError(`There is no transition called ${event}.`);
  return found;
}

/** The states from which a worker goes on by itself: the others wait for somebody, or are the end. */
export const unfinishedStatuses = ['pending', 'captured', 'refunding'] as const satisfies readonly PaymentStatus[];

/** True from the moment on when the charge of the row's attempt is known to be captured. */
export const isCharged = (status: PaymentStatus): boolean => status !== 'pending' && status !== 'failed';

/** What the next step depends on: the row as it was read, and the life of the hold that its attempt was promised. */
export interface PaymentState {
  status: PaymentStatus;
  attempt: number;
  holdExpiresAtMs: number;
}

/** What one drive of a payment has seen since it read the row. */
export interface Seen {
  /**
   * The provider's last word on this attempt's charge, and which call it answered. `unknown`: it has no such charge;
   * `silent`: no answer, so the call may have worked; `refused`: it will not take this charge, and made none.
   */
  charge?: { answer: ChargeAnswer; to: 'charge' | 'lookUp' | 'void' };
  released?: true;
  settled?: { outcome: 'sold' | 'lost'; durable: boolean };
  cancelled?: { durable: boolean };
  refund?: 'succeeded' | 'silent';
  /** A webhook told of this attempt: look even when the row says that nothing is to be done. */
  rung?: true;
}
export type ChargeAnswer = 'succeeded' | 'declined' | 'voided' | 'pending' | 'unknown' | 'silent' | 'refused';

export type Step =
  | { do: 'charge' | 'lookUp' | 'void' | 'release' | 'settle' | 'cancel' | 'refund' }
  /** Compare-and-set the row by this event, then read it again. */
  | { do: 'move'; event: PaymentEvent }
  /** Nothing more can be done now: ask again later. */
  | { do: 'again'; waitingFor: 'provider' | 'booking' }
  | { do: 'rest' };

/**
 * The one decision of the worker: pure, so that the model test explores this very function.
 * @param nowMs the worker's clock; it decides only whether an unknown charge is sent again or voided, and both are safe.
 */
export function nextStep(payment: PaymentState, seen: Seen, nowMs: number): Step {
  switch (payment.status) {
    case 'pending':
      return nextOfPending(seen, nowMs < payment.holdExpiresAtMs);
    case 'failed':
      if (seen.rung === undefined) return { do: 'rest' };
      if (seen.charge === undefined) return { do: 'lookUp' };
      return seen.charge.answer === 'succeeded' ? { do: 'move', event: 'charged' } : afterRing(seen.charge.answer);
    case 'captured':
      if (seen.settled === undefined) return { do: 'settle' };
      if (seen.settled.outcome === 'lost') return { do: 'move', event: 'lost' };
      return seen.settled.durable ? { do: 'move', event: 'settled' } : { do: 'again', waitingFor: 'booking' };
    case 'refunding':
      // The seats first and for good: a settle that is still on its way must find the booking lost.
      if (seen.cancelled === undefined) return { do: 'cancel' };
      if (!seen.cancelled.durable) return { do: 'again', waitingFor: 'booking' };
      if (seen.refund === undefined) return { do: 'refund' };
      return seen.refund === 'succeeded' ? { do: 'move', event: 'refunded' } : { do: 'again', waitingFor: 'provider' };
    case 'completed':
    case 'refunded':
      return { do: 'rest' };
  }
}

function nextOfPending(seen: Seen, holdLives: boolean): Step {
  if (seen.charge === undefined) return { do: holdLives ? 'charge' : 'lookUp' };
  const { answer, to } = seen.charge;
  switch (answer) {
    case 'succeeded':
      return { do: 'move', event: 'charged' };
    case 'declined':
    case 'voided':
      // The seats go back before the row says `failed`: then a failed row has nothing left to do, and a crash between the
      // two is finished by the next drive.
      return seen.released ? { do: 'move', event: 'declined' } : { do: 'release' };
    case 'refused':
      // Only the void's answer means failed: another worker's charge under this key may have been taken.
      return { do: 'void' };
    case 'unknown':
      return holdLives ? { do: 'again', waitingFor: 'provider' } : { do: 'void' };
    case 'silent':
      return to === 'charge' ? { do: 'lookUp' } : { do: 'again', waitingFor: 'provider' };
    case 'pending':
      return { do: 'again', waitingFor: 'provider' };
  }
}

const afterRing = (answer: ChargeAnswer): Step =>
  answer === 'silent' || answer === 'pending' ? { do: 'again', waitingFor: 'provider' } : { do: 'rest' };

export interface Attempt {
  attempt: number;
  idempotencyKey: string;
  requestHash: Buffer;
}

/** What `POST /api/payments` may do, decided from the rows as they are. */
export type Admission =
  | { do: 'begin'; attempt: number }
  /** The same key and body were taken as this attempt: the same answer again. */
  | { do: 'replay'; attempt: number }
  | { do: 'refuse'; code: 'idempotency_key_reused' | 'payment_pending' | 'already_paid' | 'hold_expired' };

export function admit(
  payment: { status: PaymentStatus; attempt: number } | null,
  attempts: readonly Attempt[],
  asked: { idempotencyKey: string; requestHash: Buffer },
): Admission {
  if (payment === null) return { do: 'begin', attempt: 1 };
  const known = attempts.find((attempt) => attempt.idempotencyKey === asked.idempotencyKey);
  if (known !== undefined) {
    if (!known.requestHash.equals(asked.requestHash)) return { do: 'refuse', code: 'idempotency_key_reused' };
    return { do: 'replay', attempt: known.attempt };
  }
  switch (payment.status) {
    case 'pending':
      return { do: 'refuse', code: 'payment_pending' };
    case 'failed':
      return { do: 'begin', attempt: payment.attempt + 1 };
    case 'captured':
    case 'completed':
      return { do: 'refuse', code: 'already_paid' };
    case 'refunding':
    case 'refunded':
      return { do: 'refuse', code: 'hold_expired' };
  }
}

/** What a status is called outside: money on its way is shown as where it comes from. */
export const shownStatus: Readonly<Record<PaymentStatus, z.infer<typeof paymentReply>['status']>> = {
  pending: 'pending',
  failed: 'failed',
  captured: 'pending',
  completed: 'completed',
  refunding: 'completed',
  refunded: 'refunded',
};

/** Under these keys the provider knows a payment's charges and refunds; so a repeated call never pays twice. */
export const chargeKeyOf = (paymentId: string, attempt: number): string => `${paymentId}:${attempt}`;
/** `n` is the attempt whose charge goes back: a charge has at most one refund, of what was captured. */
export const refundKeyOf = (paymentId: string, n: number): string => `refund:${paymentId}:${n}`;

const chargeKeyPattern = /^([0-9a-f-]{36}):([1-9]\d{0,3})$/;

/** @returns whose charge a provider's key names, or null when it is none of ours. */
export function parseChargeKey(key: string): { paymentId: string; attempt: number } | null {
  const [, paymentId, attempt] = chargeKeyPattern.exec(key) ?? [];
  return paymentId === undefined ? null : { paymentId, attempt: Number(attempt) };
}
