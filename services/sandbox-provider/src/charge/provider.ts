import { randomBytes } from 'node:crypto';
import type { Charge, ChargeBody, Refund, RefundBody, WebhookEvent } from '@frontrow/shared/contracts/provider.ts';
import { fail, ok, type Result } from '@frontrow/shared/result.ts';
import type { Ledger } from './ledger.ts';
import { type Plan, planOf, webhookLateMs } from './methods.ts';
import { Waiting } from './waiting.ts';

interface ProviderOptions {
  ledger: Ledger;
  send: (event: WebhookEvent) => Promise<boolean>;
  /** Multiplies every wait of a payment method; less than 1 in tests. */
  timeFactor?: number;
}

export type RefundRefusal = 'not_found' | 'idempotency_key_reused' | 'charge_not_captured' | 'refund_exceeds_charge';

/** A request that is never to be answered is let go after this time, so that its place is free again. */
const silenceMsMax = 60_000;
const forgottenKeysMax = 10_000;

/** The provider's decisions. Each is in the ledger's file before its answer. */
export class Provider {
  readonly #ledger: Ledger;
  readonly #send: ProviderOptions['send'];
  readonly #timeFactor: number;
  readonly #waiting = new Waiting();
  /** Keys whose first request was lost on purpose; the oldest leaves first. */
  readonly #forgotten = new Set<string>();

  /** Takes up the pending charges that the ledger has from an earlier life. */
  constructor({ ledger, send, timeFactor = 1 }: ProviderOptions) {
    this.#ledger = ledger;
    this.#send = send;
    this.#timeFactor = timeFactor;
    for (const { charge, dueAtMs } of ledger.pending()) this.#decideAt(charge, dueAtMs);
  }

  /** @returns `no_reply` when this request is to go unanswered. */
  async charge(body: ChargeBody): Promise<Result<Charge, 'idempotency_key_reused' | 'no_reply'>> {
    const known = this.#ledger.charge(body.key);
    if (known !== undefined) return isRepeat(known, body) ? this.#answer(known) : fail('idempotency_key_reused');
    const plan = planOf(body.paymentMethod);
    if (plan.forgetsFirstTry && this.#isFirstTry(body.key)) return this.#silence();

    const charge = await this.#record(body, plan);
    return plan.reply === 'never' ? this.#silence() : this.#answer(charge);
  }

  async find(key: string): Promise<Charge | null> {
    const charge = this.#ledger.charge(key);
    await this.#ledger.settled();
    return charge ?? null;
  }

  /** Makes sure that no money moves under this key from now on, unless it has moved already. */
  async voidKey(key: string, metadata: Charge['metadata']): Promise<Charge> {
    const charge = this.#ledger.charge(key);
    if (charge === undefined) {
      const voided: Charge = {
        ...newCharge({ key, metadata }),
        status: 'voided',
        amountMinor: 0,
        currency: 'XXX',
        paymentMethod: null,
      };
      await this.#ledger.append({ kind: 'charge', charge: voided, dueAtMs: null });
      return voided;
    }
    if (charge.status === 'pending') {
      await this.#ledger.append({ kind: 'decided', key, status: 'voided' });
      this.#waiting.wake(charge.id);
    }
    await this.#ledger.settled();
    return this.#ledger.charge(key) ?? charge;
  }

  async refund(body: RefundBody): Promise<Result<Refund, RefundRefusal>> {
    const known = this.#ledger.refund(body.key);
    if (known !== undefined) {
      await this.#ledger.settled();
      const isSame = known.chargeId === body.chargeId && known.amountMinor === body.amountMinor;
      return isSame ? ok(known) : fail('idempotency_key_reused');
    }
    const found = this.#ledger.chargeById(body.chargeId);
    if (found === undefined) return fail('not_found');
    if (found.charge.status !== 'succeeded') return fail('charge_not_captured');
    if (body.amountMinor > found.leftMinor) return fail('refund_exceeds_charge');
    const refund: Refund = {
      id: `re_${randomHex()}`,
      ...body,
      status: 'succeeded',
      currency: found.charge.currency,
      createdAt: new Date().toISOString(),
    };
    await this.#ledger.append({ kind: 'refund', refund });
    void this.#send(newEvent('refund.succeeded', found.charge, refund));
    return ok(refund);
  }

  async findRefund(key: string): Promise<Refund | null> {
    const refund = this.#ledger.refund(key);
    await this.#ledger.settled();
    return refund ?? null;
  }

  async page(concertId: number | undefined, cursor: number, limit: number) {
    const page = this.#ledger.page(concertId, cursor, limit);
    await this.#ledger.settled();
    return page;
  }

  /** @returns how many charges of this concert are forgotten now. */
  async clear(concertId: number): Promise<number> {
    const removed = this.#ledger.count(concertId);
    await this.#ledger.append({ kind: 'cleared', concertId });
    return removed;
  }

  /** Ends every wait: who has not been answered gets no answer. */
  stop(): void {
    this.#waiting.stop();
  }

  async #record(body: ChargeBody, plan: Plan): Promise<Charge> {
    const isDecided = plan.decidedAfterMs === 0;
    const charge: Charge = {
      ...newCharge(body),
      status: isDecided ? plan.outcome : 'pending',
      ...(isDecided && plan.failure && { failure: plan.failure }),
    };
    const dueAtMs = isDecided ? null : Date.now() + plan.decidedAfterMs * this.#timeFactor;
    await this.#ledger.append({ kind: 'charge', charge, dueAtMs });
    if (dueAtMs === null) this.#announce(charge, plan);
    else {
      if (plan.webhook !== 'before_pending') void this.#send(newEvent('charge.pending', charge));
      this.#decideAt(charge, dueAtMs);
    }
    return charge;
  }

  #decideAt(charge: Charge, dueAtMs: number): void {
    this.#waiting.at(dueAtMs, () => void this.#decide(charge));
  }

  async #decide({ key, id, paymentMethod }: Charge): Promise<void> {
    const charge = this.#ledger.charge(key);
    // Voided or cleared meanwhile; the key may even have another charge since.
    if (charge?.id !== id || charge.status !== 'pending') return;
    const plan = planOf(paymentMethod ?? '');
    const { outcome: status, failure } = plan;
    await this.#ledger.append({ kind: 'decided', key, status, ...(failure && { failure }) });
    this.#waiting.wake(id);
    const decided = this.#ledger.charge(key);
    if (decided) this.#announce(decided, plan);
  }

  async #answer(charge: Charge): Promise<Result<Charge, 'no_reply'>> {
    if (charge.status === 'pending' && planOf(charge.paymentMethod ?? '').reply === 'when_decided') {
      await this.#waiting.until(charge.id, silenceMsMax);
    }
    const current = this.#ledger.charge(charge.key);
    await this.#ledger.settled();
    return current?.id === charge.id ? ok(current) : fail('no_reply');
  }

  async #silence(): Promise<Result<never, 'no_reply'>> {
    await this.#waiting.until(`silence of ${randomHex()}`, silenceMsMax);
    return fail('no_reply');
  }

  #isFirstTry(key: string): boolean {
    if (this.#forgotten.delete(key)) return false;
    if (this.#forgotten.size >= forgottenKeysMax) this.#forgotten.delete([...this.#forgotten][0] ?? '');
    this.#forgotten.add(key);
    return true;
  }

  /** Sends the webhooks of a decided charge as its payment method wants them. */
  #announce(charge: Charge, plan: Plan): void {
    const event = newEvent(charge.status === 'succeeded' ? 'charge.succeeded' : 'charge.declined', charge);
    if (plan.webhook === 'late') {
      this.#waiting.at(Date.now() + webhookLateMs * this.#timeFactor, () => void this.#send(event));
      return;
    }
    const first = this.#send(event);
    if (plan.webhook === 'twice') void first.then(() => this.#send(event));
    if (plan.webhook === 'before_pending') {
      void first.then(() => this.#send(newEvent('charge.pending', { ...charge, status: 'pending' })));
    }
  }
}

const randomHex = () => randomBytes(12).toString('hex');

const newCharge = <T extends object>(given: T) => ({
  id: `ch_${randomHex()}`,
  ...given,
  createdAt: new Date().toISOString(),
});

function newEvent(type: WebhookEvent['type'], charge: Charge, refund?: Refund): WebhookEvent {
  const data = { charge, ...(refund && { refund }) };
  return { id: `evt_${randomHex()}`, type, createdAt: new Date().toISOString(), data };
}

/** A key that was voided before any charge came takes every body: none of them was ever charged. */
function isRepeat(charge: Charge, body: ChargeBody): boolean {
  if (charge.paymentMethod === null) return true;
  const { concertId, paymentId, bookingId } = charge.metadata;
  return (
    charge.amountMinor === body.amountMinor &&
    charge.currency === body.currency &&
    charge.paymentMethod === body.paymentMethod &&
    concertId === body.metadata.concertId &&
    paymentId === body.metadata.paymentId &&
    bookingId === body.metadata.bookingId
  );
}
