import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import type { BookingClient, Frozen } from '../booking/booking.client.ts';
import type { ChargeAbout, ChargeAnswer, Failure, PaymentProvider } from '../provider/provider.ts';
import type { Move, Payment, PaymentRepo } from './payment.repo.ts';
import { chargeKeyOf, isCharged, nextStep, type PaymentEvent, refundKeyOf, type Seen, type Step } from './payment.ts';

export interface DriveDeps {
  payments: PaymentRepo;
  provider: PaymentProvider;
  booking: BookingClient;
  log: Logger;
  now: () => number;
  /** Told of each move that this drive won, and of `stray`, which must never happen. */
  count: (event: PaymentEvent | 'stray') => void;
}

/** `rest`: nothing is left to do. `again`: somebody else has to answer first. */
export type DriveEnd = { end: 'rest' } | { end: 'again'; waitingFor: 'provider' | 'booking' };

/**
 * Advances one payment from what its row says, as far as it goes now. Any number may drive the same payment at the same time,
 * stop anywhere and start again: every call carries a key or an attempt, and the row decides.
 * @param rung the attempt that a webhook told of; its charge is looked at even when the row says that nothing is to be done.
 * @throws UnavailableError when MySQL or booking-service is away: drive again later.
 */
export async function drive(deps: DriveDeps, paymentId: string, rung?: number): Promise<DriveEnd> {
  let payment = await deps.payments.read(paymentId);
  // The doorbell tells what the row says already: whoever wrote that drives on, and if they died the reconciler does.
  if (payment !== null && rung === payment.attempt && isCharged(payment.status)) return { end: 'rest' };
  let strayChecked = false;
  let facts = firstFacts(rung);
  for (let steps = 0; payment !== null && steps < limits.paymentStepsMax; steps += 1) {
    if (rung !== undefined && rung < payment.attempt && !strayChecked) {
      const end = await refundStray(deps, payment, rung);
      if (end.end === 'again') return end;
      strayChecked = true;
    }
    const step = nextStep(payment, facts, deps.now());
    if (step.do === 'rest') return { end: 'rest' };
    if (step.do === 'again') return { end: 'again', waitingFor: step.waitingFor };
    if (step.do !== 'move') {
      facts = { ...facts, ...(await perform(deps, payment, step.do)) };
      continue;
    }
    const won = await deps.payments.move(payment, moveOf(step.event, facts));
    if (won) deps.count(step.event);
    // Won or lost: from here on the row says what is to be done.
    payment = await deps.payments.read(paymentId);
    facts = firstFacts(rung);
  }
  if (payment === null) return { end: 'rest' };
  deps.log.error({ paymentId, status: payment.status }, 'a drive did not come to an end');
  return { end: 'again', waitingFor: 'provider' };
}

/** What was seen, and the words that the next move writes down. */
interface Facts extends Seen {
  chargeId?: string;
  failure?: Failure;
  refundId?: string;
}
const firstFacts = (rung: number | undefined): Facts => (rung === undefined ? {} : { rung: true });

type Call = Exclude<Step['do'], 'move' | 'again' | 'rest'>;

async function perform(deps: DriveDeps, payment: Payment, call: Call): Promise<Facts> {
  const { provider, booking } = deps;
  const { bookingId, userId, attempt } = payment;
  const key = chargeKeyOf(payment.id, attempt);
  switch (call) {
    case 'charge': {
      const { amountMinor, currency, paymentMethod } = payment;
      const request = { key, amountMinor, currency, paymentMethod, about: aboutOf(payment) };
      return chargeFacts(await provider.charge(request), call);
    }
    case 'lookUp':
      return chargeFacts(await provider.lookUp(key), call);
    case 'void':
      return chargeFacts(await provider.void(key, aboutOf(payment)), call);
    case 'release':
      await booking.releasePayment(bookingId, userId, attempt);
      return { released: true };
    case 'settle':
      return { settled: await booking.settle(bookingId, frozenOf(payment)) };
    case 'cancel':
      return { cancelled: await booking.cancel(bookingId, frozenOf(payment)) };
    case 'refund': {
      const refund = await deps.payments.readRefund(payment, attempt);
      if (refund === null) throw new Error(`Payment ${payment.id} is refunding without a refund.`);
      return await refundFacts(deps, payment, refund);
    }
  }
}

function chargeFacts(said: ChargeAnswer, to: 'charge' | 'lookUp' | 'void'): Facts {
  return {
    charge: { answer: said.answer, to },
    ...('chargeId' in said && { chargeId: said.chargeId }),
    ...('failure' in said && { failure: said.failure }),
  };
}

async function refundFacts(
  { provider }: DriveDeps,
  payment: Payment,
  refund: { n: number; chargeId: string; amountMinor: number },
): Promise<Facts> {
  // A free seat has no money to give back, and a provider refunds no zeros.
  if (refund.amountMinor === 0) return { refund: 'succeeded', refundId: 'nothing' };
  const { n, chargeId, amountMinor } = refund;
  const said = await provider.refund({ key: refundKeyOf(payment.id, n), chargeId, amountMinor });
  return said.answer === 'silent' ? { refund: 'silent' } : { refund: 'succeeded', refundId: said.refundId };
}

const neverCharged: Failure = {
  code: 'hold_expired',
  detail: 'The hold ran out before the payment was made. Nothing was charged.',
};

/** The move of this event, with what the facts say. A missing fact is a fault of ours: the step came without what it needs. */
function moveOf(event: PaymentEvent, facts: Facts): Move {
  switch (event) {
    case 'declined': {
      const attemptStatus = facts.charge?.answer === 'voided' ? 'voided' : 'failed';
      return { event, attemptStatus, failure: facts.failure ?? neverCharged };
    }
    case 'charged':
      return { event, chargeId: present(facts.chargeId) };
    case 'refunded':
      return { event, refundId: present(facts.refundId) };
    case 'settled':
    case 'lost':
    case 'cancelled':
      return { event };
    case 'posted':
    case 'retried':
      throw new Error(`A drive cannot do ${event}.`);
  }
}

function present(value: string | undefined): string {
  if (value === undefined) throw new Error('A move lacks what it has to write.');
  return value;
}

/**
 * The charge of an attempt that the row has left behind must be declined or voided. If it is not, it goes back, under a refund
 * of its own; the payment itself does not change.
 */
async function refundStray(deps: DriveDeps, payment: Payment, attempt: number): Promise<DriveEnd> {
  const said = await deps.provider.lookUp(chargeKeyOf(payment.id, attempt));
  if (said.answer === 'silent' || said.answer === 'pending') return { end: 'again', waitingFor: 'provider' };
  if (said.answer !== 'succeeded') return { end: 'rest' };
  const { chargeId, amountMinor } = said;
  await deps.payments.noteStray(payment, { attempt, chargeId, amountMinor });
  const refund = await deps.payments.readRefund(payment, attempt);
  if (refund === null || refund.status === 'done') return { end: 'rest' };
  deps.log.error({ paymentId: payment.id, attempt, chargeId }, 'a second charge was captured; it goes back');
  const { refundId } = await refundFacts(deps, payment, refund);
  if (refundId === undefined) return { end: 'again', waitingFor: 'provider' };
  await deps.payments.finishRefund(payment, attempt, refundId);
  deps.count('stray');
  return { end: 'rest' };
}

const aboutOf = ({ concertId, id, bookingId }: Payment): ChargeAbout => ({ concertId, paymentId: id, bookingId });
const frozenOf = ({ userId, seats, amountMinor, currency }: Payment): Frozen => ({
  userId,
  seats,
  amountMinor,
  currency,
});
