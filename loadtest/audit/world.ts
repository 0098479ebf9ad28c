import type { Change } from '@frontrow/shared/contracts/change.ts';
import type { BookingStatus, Phase } from '@frontrow/shared/contracts/hold.ts';
import type { PaymentStatus } from '@frontrow/shared/contracts/payment.ts';
import type { LedgerItem } from '@frontrow/shared/contracts/provider.ts';
import type { ClientEvent } from '../client-event.ts';

/** Everything that is said about one concert, by each of those who say it. The checks compare; nothing here is derived. */
export interface World {
  concertId: number;
  redis: RedisState;
  mysql: BookingTables;
  money: PaymentTables;
  /** What the payment provider has: the only witness that is not ours. */
  ledger: LedgerItem[];
  /** What clients saw; undefined when no client log was given. */
  clients: ClientEvent[] | undefined;
}

export interface RedisState {
  /** One character a seat; null when the concert has no state in Redis. */
  states: string | null;
  records: BookingRecord[];
  /** What is kept of the log, oldest first. */
  log: LogEntry[];
  /** The last id that was given out, even when its entry is trimmed. */
  lastId: LogId | null;
  epoch: number | null;
  seatsPerUserMax: number | null;
}

export interface LogId {
  epoch: number;
  n: number;
}

export type LogEntry = { id: string; change: Change } | { id: string; fault: string };

/** A booking as Redis and as MySQL have it. */
export interface BookingRecord {
  id: string;
  userId: string;
  phase: Phase;
  seats: number[];
  totalMinor: number;
  expiresAtMs: number;
  heldUntilMs: number;
  attempt: number;
}

export interface BookingRow extends BookingRecord {
  status: BookingStatus;
  endedAtMs: number | null;
  version: number;
}

export type TicketStatus = 'available' | 'booked' | 'sold' | 'blocked';

export interface BookingTables {
  concert: { totalTickets: number; availableTickets: number; currency: string };
  tickets: { seatIndex: number; label: string; status: TicketStatus }[];
  bookings: BookingRow[];
  bookingTickets: { bookingId: string; seatIndex: number }[];
  cursor: { epoch: number; last: LogId } | null;
  /** Changes that were put aside and are not replayed. */
  deadChanges: { id: string; bookingId: string | null; reason: string }[];
  userBookings: { userId: string; bookingId: string }[];
}

export interface PaymentRow {
  id: string;
  bookingId: string;
  userId: string;
  seats: number[];
  amountMinor: number;
  currency: string;
  status: PaymentStatus;
  attempt: number;
  transactionId: string | null;
}

export interface PaymentTables {
  payments: PaymentRow[];
  attempts: {
    paymentId: string;
    attempt: number;
    status: 'pending' | 'failed' | 'captured' | 'voided';
    chargeId: string | null;
  }[];
  refunds: {
    paymentId: string;
    n: number;
    chargeId: string;
    amountMinor: number;
    status: 'pending' | 'done';
    providerRefundId: string | null;
  }[];
}

const livePhases: readonly Phase[] = ['held', 'paying', 'sold'];
export const isLive = ({ phase }: { phase: Phase }): boolean => livePhases.includes(phase);

export const compareLogIds = (a: LogId, b: LogId): number => a.epoch - b.epoch || a.n - b.n;
export const logIdText = (id: LogId): string => `${id.epoch}-${id.n}`;

/** Seat lists are compared as text: both sides keep them ascending. */
export const seatList = (seats: readonly number[]): string => [...seats].sort((a, b) => a - b).join(',');
