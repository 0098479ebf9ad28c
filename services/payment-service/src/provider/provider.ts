import type { Result } from '@frontrow/shared/result.ts';

/**
 * The port to whoever moves the money. Every call carries a key of ours, so a repeated one does nothing new; a call that gets
 * no answer in time is `silent`: it may have worked. An adapter throws only for a fault of ours (a wrong key, a reply that is
 * not the contract's).
 */
export interface PaymentProvider {
  readonly name: string;
  /** Charges once under this key, and says how that charge stands. */
  charge(request: ChargeRequest): Promise<ChargeAnswer>;
  lookUp(key: string): Promise<ChargeAnswer>;
  /** Makes sure that nothing is ever charged under this key, or says what already was. */
  void(key: string, about: ChargeAbout): Promise<ChargeAnswer>;
  refund(request: RefundRequest): Promise<RefundAnswer>;

  /** The header (lower case) that carries a webhook's signature. */
  readonly webhookHeader: string;
  /** @param signature the header's value; checked against the raw bytes and, for its age, against `nowMs`. */
  readWebhook(rawBody: Buffer, signature: string, nowMs: number): Result<ProviderEvent, 'bad_signature' | 'malformed'>;
}

/** What the provider keeps with a charge, so that an audit finds it again. */
export interface ChargeAbout {
  concertId: number;
  paymentId: string;
  bookingId: string;
}
export interface ChargeRequest {
  key: string;
  amountMinor: number;
  currency: string;
  paymentMethod: string;
  about: ChargeAbout;
}
export interface Failure {
  code: string;
  detail: string;
}
export type ChargeAnswer =
  | { answer: 'succeeded' | 'pending' | 'voided'; chargeId: string; amountMinor: number }
  | { answer: 'declined'; chargeId: string; amountMinor: number; failure: Failure }
  /** It does not take this charge, such as an unknown payment method; no charge was made by this call. */
  | { answer: 'refused'; failure: Failure }
  /** `unknown`: there is no charge under this key. */
  | { answer: 'unknown' | 'silent' };

export interface RefundRequest {
  key: string;
  chargeId: string;
  amountMinor: number;
}
export type RefundAnswer = { answer: 'succeeded'; refundId: string } | { answer: 'silent' };

/** A webhook is only a doorbell: it says whose charge to look at, and nothing else of it is believed. */
export interface ProviderEvent {
  id: string;
  type: string;
  chargeKey: string;
}
