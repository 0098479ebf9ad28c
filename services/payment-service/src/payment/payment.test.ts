import { type PaymentStatus, paymentReply, paymentStatusSchema } from '@frontrow/shared/contracts/payment.ts';
import { paymentIdOf, randomHoldId } from '@frontrow/shared/ids.ts';
import { allStatements } from '@frontrow/shared/mysql/pool.ts';
import { describe, expect, test } from 'vitest';
import { waitMs } from './payment.job.ts';
import {
  admit,
  type ChargeAnswer,
  chargeKeyOf,
  nextStep,
  parseChargeKey,
  type Seen,
  shownStatus,
  transitionOf,
  transitions,
  unfinishedStatuses,
} from './payment.ts';
import './payment.repo.ts';

describe('the table of transitions', () => {
  test('is the one of the architecture', () => {
    expect(transitions.flatMap(({ from, event, to }) => from.map((one) => `${one} -${event}-> ${to}`))).toEqual([
      'none -posted-> pending',
      'pending -declined-> failed',
      'failed -retried-> pending',
      'pending -charged-> captured',
      'failed -charged-> captured',
      'captured -settled-> completed',
      'captured -lost-> refunding',
      'completed -cancelled-> refunding',
      'refunding -refunded-> refunded',
    ]);
  });

  test('has each event once, an end, and no state that is left only by luck', () => {
    expect(new Set(transitions.map(({ event }) => event)).size).toBe(transitions.length);
    const left = new Set(transitions.flatMap(({ from }) => [...from]));
    expect(paymentStatusSchema.options.filter((status) => !left.has(status))).toEqual(['refunded']);
    for (const status of unfinishedStatuses) expect(left.has(status)).toBe(true);
  });

  test('one statement alone changes a payment, and it compares first', () => {
    const changing = allStatements().filter(({ sql }) => /^\s*(UPDATE|REPLACE)\s+payments\b/i.test(sql));
    expect(changing.map(({ name }) => name)).toEqual(['payment.compareAndSet']);
    expect(changing[0]?.sql).toContain('AND attempt = ? AND status IN (?)');
    expect(allStatements().filter(({ sql }) => /ON DUPLICATE KEY|FOR UPDATE/i.test(sql))).toEqual([]);
  });

  test('an event that it does not have is a fault', () => {
    // @ts-expect-error: the type does not allow it either
    expect(() => transitionOf('forgiven')).toThrow(RangeError);
  });
});

const charge = (answer: ChargeAnswer, to: 'charge' | 'lookUp' | 'void' = 'charge'): Seen => ({
  charge: { answer, to },
});
const table: { status: PaymentStatus; seen: Seen; late?: true; step: string }[] = [
  { status: 'pending', seen: {}, step: 'charge' },
  { status: 'pending', seen: {}, late: true, step: 'lookUp' },
  { status: 'pending', seen: charge('succeeded'), step: 'move charged' },
  { status: 'pending', seen: charge('succeeded', 'void'), late: true, step: 'move charged' },
  { status: 'pending', seen: charge('declined'), step: 'release' },
  { status: 'pending', seen: { ...charge('declined'), released: true }, step: 'move declined' },
  { status: 'pending', seen: charge('voided', 'void'), late: true, step: 'release' },
  { status: 'pending', seen: { ...charge('voided', 'void'), released: true }, late: true, step: 'move declined' },
  { status: 'pending', seen: charge('silent'), step: 'lookUp' },
  { status: 'pending', seen: charge('silent', 'lookUp'), step: 'again provider' },
  { status: 'pending', seen: charge('silent', 'void'), late: true, step: 'again provider' },
  { status: 'pending', seen: charge('unknown', 'lookUp'), step: 'again provider' },
  { status: 'pending', seen: charge('unknown', 'lookUp'), late: true, step: 'void' },
  { status: 'pending', seen: charge('pending'), step: 'again provider' },
  { status: 'pending', seen: charge('pending', 'lookUp'), late: true, step: 'again provider' },
  { status: 'pending', seen: charge('refused'), step: 'void' },
  { status: 'failed', seen: {}, step: 'rest' },
  { status: 'failed', seen: { rung: true }, step: 'lookUp' },
  { status: 'failed', seen: { rung: true, ...charge('declined', 'lookUp') }, step: 'rest' },
  { status: 'failed', seen: { rung: true, ...charge('succeeded', 'lookUp') }, step: 'move charged' },
  { status: 'failed', seen: { rung: true, ...charge('silent', 'lookUp') }, step: 'again provider' },
  { status: 'captured', seen: {}, step: 'settle' },
  { status: 'captured', seen: { settled: { outcome: 'sold', durable: false } }, step: 'again booking' },
  { status: 'captured', seen: { settled: { outcome: 'sold', durable: true } }, step: 'move settled' },
  { status: 'captured', seen: { settled: { outcome: 'lost', durable: false } }, step: 'move lost' },
  { status: 'refunding', seen: {}, step: 'cancel' },
  { status: 'refunding', seen: { cancelled: { durable: false } }, step: 'again booking' },
  { status: 'refunding', seen: { cancelled: { durable: true } }, step: 'refund' },
  { status: 'refunding', seen: { cancelled: { durable: true }, refund: 'silent' }, step: 'again provider' },
  { status: 'refunding', seen: { cancelled: { durable: true }, refund: 'succeeded' }, step: 'move refunded' },
  { status: 'completed', seen: { rung: true }, step: 'rest' },
  { status: 'refunded', seen: { rung: true }, step: 'rest' },
];

describe('the next step', () => {
  test.each(table)('$status, $seen, late: $late -> $step', ({ status, seen, late, step }) => {
    const next = nextStep({ status, attempt: 1, holdExpiresAtMs: 100 }, seen, late ? 100 : 99);
    const words = [next.do, 'event' in next ? next.event : '', 'waitingFor' in next ? next.waitingFor : ''];
    expect(words.filter((word) => word !== '').join(' ')).toBe(step);
  });
});

describe('admission of a request', () => {
  const [hash, otherHash] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const first = { attempt: 1, idempotencyKey: 'a', requestHash: hash };
  const ask = (status: PaymentStatus, idempotencyKey: string, requestHash = hash) =>
    admit({ status, attempt: 1 }, [first], { idempotencyKey, requestHash });

  test('the first begins; a key that was used gets its own answer in every state', () => {
    expect(admit(null, [], { idempotencyKey: 'a', requestHash: hash })).toEqual({ do: 'begin', attempt: 1 });
    for (const status of paymentStatusSchema.options) {
      expect(ask(status, 'a')).toEqual({ do: 'replay', attempt: 1 });
      expect(ask(status, 'a', otherHash)).toEqual({ do: 'refuse', code: 'idempotency_key_reused' });
    }
  });

  test.each<[PaymentStatus, ReturnType<typeof admit>]>([
    ['pending', { do: 'refuse', code: 'payment_pending' }],
    ['failed', { do: 'begin', attempt: 2 }],
    ['captured', { do: 'refuse', code: 'already_paid' }],
    ['completed', { do: 'refuse', code: 'already_paid' }],
    ['refunding', { do: 'refuse', code: 'hold_expired' }],
    ['refunded', { do: 'refuse', code: 'hold_expired' }],
  ])('a new key while it is %s', (status, admission) => {
    expect(ask(status, 'b')).toEqual(admission);
  });
});

test('what is shown is what the contract allows', () => {
  expect(paymentReply.shape.status.options).toEqual(expect.arrayContaining(Object.values(shownStatus)));
  expect(shownStatus).toMatchObject({ captured: 'pending', refunding: 'completed' });
});

test('a provider’s key names its payment and attempt', () => {
  const paymentId = paymentIdOf('secret', randomHoldId(7));
  expect(parseChargeKey(chargeKeyOf(paymentId, 3))).toEqual({ paymentId, attempt: 3 });
  for (const key of ['', paymentId, `${paymentId}:0`, `${paymentId}:x`, `refund:${paymentId}:1`]) {
    expect(parseChargeKey(key)).toBeNull();
  }
});

test('a waiting job asks soon, then less and less often', () => {
  expect([1, 2, 3, 50].map((times) => waitMs('booking', times))).toEqual([80, 160, 320, 1_000]);
  expect([1, 2, 50].map((times) => waitMs('provider', times))).toEqual([200, 400, 10_000]);
});
