import { concertIdOf, isConcertScopedId } from '@frontrow/shared/ids.ts';
import { describe, expect, test } from 'vitest';
import { type HoldableConcert, holdRequest, type LiveSeats, refuseEarly, seatsOfLabels } from './hold.ts';

const labels = ['A-1-1', 'A-1-2', 'A-1-3', 'B-1-1'];
const opensAtMs = 1_800_000_000_000;
const concert: HoldableConcert = {
  id: 42,
  opensAtMs,
  closesAtMs: opensAtMs + 3_600_000,
  saleOverride: 'none',
  layout: {
    seatIndexByLabel: new Map(labels.map((label, index) => [label, index])),
    priceMinorByIndex: Float64Array.of(100, 100, 100, 250),
  },
};
const [fan, rival] = ['01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002'];
const secret = 'a-secret';
const wish: Parameters<typeof holdRequest>[2] = { userId: fan, labels: ['A-1-1'], idempotencyKey: undefined };

describe('labels', () => {
  test('become indexes in ascending order, whatever order they came in', () => {
    expect(seatsOfLabels(concert, ['B-1-1', 'A-1-1', 'A-1-3'])).toEqual({ ok: true, value: [0, 2, 3] });
  });

  test('that the layout does not have are all named', () => {
    const asked = ['A-1-1', 'a-1-1', 'Z-9-9', '__proto__'];
    expect(seatsOfLabels(concert, asked)).toEqual({ ok: false, failure: ['a-1-1', 'Z-9-9', '__proto__'] });
  });
});

describe('the request', () => {
  test('with a key has an id that fan, concert and key decide', () => {
    const keyed = (over: Partial<typeof wish>, of = concert, by = secret) =>
      holdRequest(by, of, { ...wish, idempotencyKey: 'k', ...over }, [0]).holdId;
    expect(keyed({})).toBe(keyed({}));
    const others = [
      keyed({ idempotencyKey: 'K' }),
      keyed({ userId: rival }),
      keyed({}, { ...concert, id: 43 }),
      keyed({}, concert, 'another secret'),
    ];
    expect(new Set([keyed({}), ...others]).size).toBe(5);
    expect(keyed({ labels: ['A-1-3'] })).toBe(keyed({}));
  });

  test('without a key has an id of its own each time; every id names the concert', () => {
    const ids = Array.from({ length: 1_500 }, () => holdRequest(secret, concert, wish, [0]).holdId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => isConcertScopedId(id) && concertIdOf(id) === concert.id)).toBe(true);
  });

  test('has the sum of the prices and says whether it was keyed', () => {
    expect(holdRequest(secret, concert, wish, [0, 2, 3])).toMatchObject({
      totalMinor: 450,
      keyed: false,
      seats: [0, 2, 3],
    });
    expect(holdRequest(secret, concert, { ...wish, idempotencyKey: 'k' }, [3])).toMatchObject({
      totalMinor: 250,
      keyed: true,
    });
  });
});

describe('refused from memory', () => {
  const live = (owners: Record<number, string>): LiveSeats => ({
    takenByOthers: (seats, asker) => seats.filter((seat) => owners[seat] !== undefined && owners[seat] !== asker),
  });

  test.each([
    ['seats that another fan has', opensAtMs, { 1: rival, 2: fan }, [0, 1, 2], { status: 'seats_taken', seats: [1] }],
    ['nothing when the fan has them: it may be a retry', opensAtMs, { 1: fan }, [1], null],
    ['nothing when all are free', opensAtMs, {}, [0, 1], null],
    ['before the opening', opensAtMs - 5_001, {}, [0], { status: 'sale_not_open', opensAtMs }],
    ['nothing just before it, because clocks differ', opensAtMs - 5_000, {}, [0], null],
    ['nothing after the end, where a retry may still ask', concert.closesAtMs + 1, {}, [0], null],
  ])('%s', (_, nowMs, owners, seats, refusal) => {
    expect(refuseEarly(concert, live(owners), fan, seats, nowMs)).toEqual(refusal);
  });
});
