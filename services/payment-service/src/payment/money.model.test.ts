import { describe, expect, test } from 'vitest';
import {
  afterCalmDelivery,
  faultOf,
  firstWorld,
  happenings,
  isQuiet,
  isUnfinished,
  keyOf,
  type Rules,
  realRules,
  type World,
} from './money.model.ts';
import { nextStep, type PaymentState, type Seen, type Step } from './payment.ts';

/**
 * The money of one payment, explored exhaustively: every order of two deliveries, of crashes at any step (their last call may
 * still arrive later), of a rival who takes the seat and lets it go, of expiry, of one loss of Redis, of a cancellation.
 * The decision that is explored is the worker's own `nextStep` over the real transition table.
 */
describe('never seat and refund, never money without either', () => {
  test('two deliveries, crashes with stray calls, rivals, expiry, one loss of Redis', () => {
    const explored = explore(realRules);
    expect(explored.faults).toEqual([]);
    expect(explored.worlds).toBeGreaterThan(100_000);
    expect(explored.ends).toEqual(new Set(['none', 'failed', 'completed', 'refunded']));
    expect(explored.stuck).toEqual([]);
  });

  test('a second attempt after a decline', () => {
    const explored = explore({ ...realRules, attempts: 2, strayCalls: false });
    expect(explored.faults).toEqual([]);
    expect(explored.worlds).toBeGreaterThan(100_000);
    expect(explored.stuck).toEqual([]);
  });
});

describe('controls: the same checker finds what is wrong', () => {
  const impatientFor = (what: 'settled' | 'cancelled') => (payment: PaymentState, seen: Seen, nowMs: number) => {
    const { settled, cancelled } = seen;
    if (what === 'settled' && settled)
      return nextStep(payment, { ...seen, settled: { ...settled, durable: true } }, nowMs);
    return nextStep(payment, cancelled ? { ...seen, cancelled: { durable: true } } : seen, nowMs);
  };
  const hasty = (payment: PaymentState, seen: Seen, nowMs: number): Step =>
    payment.status === 'pending' && seen.charge?.answer === 'silent'
      ? { do: 'move', event: 'declined' }
      : nextStep(payment, seen, nowMs);
  const naive = { decide: naiveStep, compareAndSet: false, lossIsRecorded: false };

  test.each<{ what: string; rules: Partial<Rules>; fault: string }>([
    { what: 'the naive rule, decided anew at each delivery', rules: naive, fault: 'seat and refund' },
    { what: 'moves without compare-and-set', rules: { compareAndSet: false }, fault: 'money without seat or refund' },
    {
      what: 'a refund that does not wait until MySQL has the cancellation',
      rules: { decide: impatientFor('cancelled') },
      fault: 'seat and refund',
    },
    {
      what: 'a payment that completes before MySQL has the sale',
      rules: { decide: impatientFor('settled') },
      fault: 'money without seat or refund',
    },
    { what: 'silence taken for a decline', rules: { decide: hasty }, fault: 'money without seat or refund' },
  ])('$what: $fault', ({ rules, fault }) => {
    expect(explore({ ...realRules, strayCalls: false, ...rules }, fault).faults).toContain(fault);
  });
});

/** "Take the seats again if they are free, else refund." */
function naiveStep(payment: PaymentState, seen: Seen, nowMs: number): Step {
  if (payment.status === 'pending' || payment.status === 'failed') return nextStep(payment, seen, nowMs);
  if (payment.status !== 'captured') return { do: 'rest' };
  if (seen.settled === undefined) return { do: 'settle' };
  if (seen.settled.outcome === 'sold') return { do: 'move', event: 'settled' };
  return seen.refund === undefined ? { do: 'refund' } : { do: 'move', event: 'refunded' };
}

interface Explored {
  worlds: number;
  faults: string[];
  /** Statuses of the payment in worlds where nobody has anything left to do. */
  ends: Set<string>;
  /** Unfinished payments that undisturbed deliveries do not bring to an end. */
  stuck: World[];
}

/** Breadth first over every world that can be reached; a faulty one is not followed further. `enough`: this fault will do. */
function explore(rules: Rules, enough?: string): Explored {
  const first = firstWorld(rules);
  const known = new Set([keyOf(first)]);
  const faults = new Set<string>();
  const ends = new Set<string>();
  const stuck: World[] = [];
  let frontier = [first];
  while (frontier.length > 0 && !(enough !== undefined && faults.has(enough))) {
    const reached: World[] = [];
    for (const world of frontier) {
      for (const next of happenings(world, rules)) {
        const key = keyOf(next);
        if (known.has(key)) continue;
        known.add(key);
        const fault = faultOf(next);
        if (fault === null) reached.push(next);
        else faults.add(fault);
        if (!isQuiet(next)) continue;
        if (!isUnfinished(next)) ends.add(next.row?.status ?? 'none');
        else if (isStuck(next, rules)) stuck.push(next);
      }
    }
    frontier = reached;
  }
  return { worlds: known.size, faults: [...faults].sort(), ends, stuck };
}

function isStuck(world: World, rules: Rules): boolean {
  let calm = world;
  for (let deliveries = 0; deliveries < 5 && isUnfinished(calm); deliveries += 1) calm = afterCalmDelivery(calm, rules);
  return isUnfinished(calm);
}
