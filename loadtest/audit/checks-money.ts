import type { LedgerItem } from '@frontrow/shared/contracts/provider.ts';
import type { CheckResult, Violation } from './check.ts';
import { type PaymentRow, seatList, type World } from './world.ts';

const refundedMinor = ({ refunds }: LedgerItem): number =>
  refunds.reduce((sum, { amountMinor }) => sum + amountMinor, 0);
const isFullyRefunded = (charge: LedgerItem): boolean =>
  charge.refunds.length === 1 && refundedMinor(charge) === charge.amountMinor;
const succeeded = ({ ledger }: World): LedgerItem[] => ledger.filter(({ status }) => status === 'succeeded');

/**
 * Invariant 5: every charge that the provider took has its seats (payment completed, booking confirmed, tickets) or exactly
 * one full refund; never both, never neither.
 */
export function chargesCheck(world: World): CheckResult {
  const payments = new Map(world.money.payments.map((row) => [row.id, row]));
  const hasSeats = seatsTest(world);
  const violations: Violation[] = [];
  for (const charge of succeeded(world)) {
    const { paymentId, bookingId } = charge.metadata;
    const payment = payments.get(paymentId);
    const ids = [charge.id, paymentId, bookingId];
    const say = (text: string) =>
      violations.push({ message: `charge ${charge.id} of payment ${paymentId}: ${text}`, ids });
    const keptSeats = hasSeats(charge, payment);
    const back = refundedMinor(charge);
    if (keptSeats && back > 0) say(`has its seats and ${back} of ${charge.amountMinor} back (booking ${bookingId})`);
    else if (!keptSeats && !isFullyRefunded(charge)) {
      const refunds = `${charge.refunds.length} refunds of ${back} in all`;
      say(
        `took ${charge.amountMinor}, has no seats (booking ${bookingId}, payment ${payment?.status ?? 'unknown'}) and ${refunds}`,
      );
    }
    if (payment && (payment.amountMinor !== charge.amountMinor || payment.currency !== charge.currency)) {
      say(
        `took ${charge.amountMinor} ${charge.currency}, the payment is of ${payment.amountMinor} ${payment.currency}`,
      );
    }
    if (payment && payment.bookingId !== bookingId) say(`names booking ${bookingId}, the payment ${payment.bookingId}`);
    const attempt = world.money.attempts.find((row) => `${row.paymentId}:${row.attempt}` === charge.key);
    if (payment && attempt?.status !== 'captured') say(`succeeded, but its attempt is ${attempt?.status ?? 'unknown'}`);
  }
  return { examined: world.ledger.length, violations };
}

function seatsTest({ mysql }: World): (charge: LedgerItem, payment: PaymentRow | undefined) => boolean {
  const bookings = new Map(mysql.bookings.map((row) => [row.id, row]));
  const ticketsOf = new Map<string, number[]>();
  for (const { bookingId, seatIndex } of mysql.bookingTickets) {
    ticketsOf.set(bookingId, [...(ticketsOf.get(bookingId) ?? []), seatIndex]);
  }
  return (charge, payment) =>
    payment?.status === 'completed' &&
    payment.transactionId === charge.id &&
    bookings.get(payment.bookingId)?.phase === 'sold' &&
    seatList(ticketsOf.get(payment.bookingId) ?? []) === seatList(payment.seats);
}

/** Refunds never exceed what was captured, and ours are the provider's, one by one. */
export function refundsCheck(world: World): CheckResult {
  const violations: Violation[] = [];
  const charges = new Map(world.ledger.map((charge) => [charge.id, charge]));
  for (const charge of world.ledger) {
    const captured = charge.status === 'succeeded' ? charge.amountMinor : 0;
    const back = refundedMinor(charge);
    if (back > captured) {
      const message = `charge ${charge.id} (${charge.status}): ${back} was refunded of ${captured} captured`;
      violations.push({ message, ids: [charge.id, charge.metadata.paymentId] });
    }
  }
  const known = new Set<string>();
  for (const row of world.money.refunds) {
    const refund = charges.get(row.chargeId)?.refunds.find(({ id }) => id === row.providerRefundId);
    const name = `refund ${row.n} of payment ${row.paymentId}`;
    const ids = [row.paymentId, row.chargeId];
    if (refund) known.add(refund.id);
    if (row.status !== 'done') violations.push({ message: `${name} is still ${row.status}`, ids });
    else if (!refund) violations.push({ message: `${name} is unknown to the provider (charge ${row.chargeId})`, ids });
    else if (refund.amountMinor !== row.amountMinor) {
      violations.push({ message: `${name} is of ${row.amountMinor}, the provider paid ${refund.amountMinor}`, ids });
    }
  }
  const all = world.ledger.flatMap(({ refunds }) => refunds);
  for (const refund of all.filter(({ id }) => !known.has(id))) {
    const message = `the provider's refund ${refund.id} of charge ${refund.chargeId} is in no row of ours`;
    violations.push({ message, ids: [refund.id, refund.chargeId] });
  }
  return { examined: world.money.refunds.length + all.length, violations };
}

/** Every payment has come to its end, and its end is what the provider has. */
export function paymentsCheck(world: World): CheckResult {
  const charges = new Map(world.ledger.map((charge) => [charge.id, charge]));
  const bookings = new Map(world.mysql.bookings.map((row) => [row.id, row]));
  const violations = world.money.payments.flatMap((payment): Violation[] => {
    const charge = charges.get(payment.transactionId ?? '');
    const booking = bookings.get(payment.bookingId);
    const said = faultOfPayment(payment, charge, booking?.phase);
    if (said === null) return [];
    const message = `payment ${payment.id} of booking ${payment.bookingId} is ${payment.status}: ${said}`;
    return [{ message, ids: [payment.id, payment.bookingId, ...(charge ? [charge.id] : [])] }];
  });
  return { examined: world.money.payments.length, violations };
}

function faultOfPayment(payment: PaymentRow, charge: LedgerItem | undefined, phase: string | undefined): string | null {
  switch (payment.status) {
    case 'completed':
      if (charge?.status !== 'succeeded') return `the provider has no succeeded charge ${payment.transactionId}`;
      return phase === 'sold' ? null : `its booking is ${phase ?? 'unknown'}`;
    case 'refunded':
      if (charge?.status !== 'succeeded') return `the provider has no succeeded charge ${payment.transactionId}`;
      if (!isFullyRefunded(charge)) return `the provider paid back ${refundedMinor(charge)} of ${charge.amountMinor}`;
      return phase === 'sold' ? 'its booking still has the seats' : null;
    case 'failed':
      return phase === 'sold' ? 'its booking has the seats' : null;
    default:
      return 'it has not come to an end';
  }
}

/** A confirmed booking was paid, by one completed payment, of the same fan, seats and amount. */
export function soldIsPaidCheck({ mysql, money }: World): CheckResult {
  const payments = new Map(money.payments.map((row) => [row.bookingId, row]));
  const sold = mysql.bookings.filter(({ phase }) => phase === 'sold');
  const violations = sold.flatMap((booking): Violation[] => {
    const payment = payments.get(booking.id);
    const ids = [booking.id, ...(payment ? [payment.id] : [])];
    const say = (text: string): Violation[] => [{ message: `booking ${booking.id} is confirmed, ${text}`, ids }];
    if (!payment) return say('but has no payment');
    if (payment.status !== 'completed') return say(`but payment ${payment.id} is ${payment.status}`);
    if (payment.userId !== booking.userId) return say(`but user ${payment.userId} paid for user ${booking.userId}`);
    if (payment.amountMinor !== booking.totalMinor)
      return say(`but ${payment.amountMinor} was paid of ${booking.totalMinor}`);
    return seatList(payment.seats) === seatList(booking.seats) ? [] : say('but other seats were paid');
  });
  return { examined: sold.length, violations };
}
