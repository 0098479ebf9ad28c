import {
  type BeginReply,
  beginReply,
  type CancelReply,
  cancelReply,
  releasePaymentReply,
  type SettleReply,
  settleReply,
} from '@frontrow/shared/contracts/internal.ts';
import { createInternalClient } from '@frontrow/shared/internal-client.ts';

/** What a payment froze when it began: nothing of it is asked again. */
export interface Frozen {
  userId: string;
  /** Seat indexes. */
  seats: number[];
  amountMinor: number;
  currency: string;
}

/**
 * What payment-service asks of booking-service. Every call may be repeated, and a stale attempt does nothing.
 * Each throws UnavailableError when booking-service does not answer.
 */
export interface BookingClient {
  begin(bookingId: string, userId: string, attempt: number): Promise<BeginReply>;
  releasePayment(bookingId: string, userId: string, attempt: number): Promise<void>;
  settle(bookingId: string, frozen: Frozen): Promise<SettleReply>;
  /** Ends the booking for good; a settle that is still on its way finds it lost. */
  cancel(bookingId: string, frozen: Frozen): Promise<CancelReply>;
}

export function createBookingClient(url: string, serviceTokenSecret: string): BookingClient {
  const call = createInternalClient(url, serviceTokenSecret, 'payment-service');
  const path = (bookingId: string, what: string) => `/internal/holds/${bookingId}/${what}`;
  return {
    begin: (bookingId, userId, attempt) => call('POST', path(bookingId, 'begin'), { userId, attempt }, beginReply),
    releasePayment: async (bookingId, userId, attempt) => {
      await call('POST', path(bookingId, 'release-payment'), { userId, attempt }, releasePaymentReply);
    },
    settle: (bookingId, frozen) => call('POST', path(bookingId, 'settle'), frozen, settleReply),
    cancel: (bookingId, frozen) => call('POST', path(bookingId, 'cancel'), frozen, cancelReply),
  };
}
