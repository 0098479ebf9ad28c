import { type Change, decodeChange } from '@frontrow/shared/contracts/change.ts';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestRedis, type TestServer } from '../../../../scripts/data/servers.ts';
import { keysOf } from './keys.ts';
import { HoldModel, type ModelSettings } from './model.ts';
import { ConcertScripts } from './scripts.ts';
import { openConcert, scriptsWithTestClock, setTestClock } from './testing.ts';

const seatCount = 6;
const userIds = [1, 2, 3].map((n) => `01900000-0000-7000-8000-00000000000${n}`);
const startMs = 1_800_000_000_000;

let server: TestServer;
let redis: Redis;
beforeAll(async () => {
  server = await startTestRedis({ appendonly: 'no' });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

type Operation =
  | { op: 'hold'; requests: { fan: number; hold: number; keyed: boolean; seats: number[]; total: number }[] }
  | { op: 'begin' | 'releasePay'; fan: number; hold: number; attempt: number }
  | { op: 'release'; fan: number; hold: number }
  | { op: 'settle'; fan: number; hold: number; seats: number[] }
  | { op: 'cancel'; fan: number; hold: number; seats: number[]; keep: boolean }
  | { op: 'sweep' }
  | { op: 'wait'; ms: number };

const fan = fc.nat(userIds.length - 1);
const hold = fc.nat(5);
const seats = fc
  .uniqueArray(fc.nat(seatCount - 1), { minLength: 1, maxLength: 3 })
  .map((list) => list.sort((a, b) => a - b));
const attempt = fc.integer({ min: 1, max: 4 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('hold' as const),
      requests: fc.array(
        fc.record({ fan, hold, keyed: fc.boolean(), seats, total: fc.integer({ min: 0, max: 1e15 }) }),
        { minLength: 1, maxLength: 10 },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('begin' as const, 'releasePay' as const), fan, hold, attempt }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('release' as const), fan, hold }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('settle' as const), fan, hold, seats }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('cancel' as const), fan, hold, seats, keep: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ op: 'sweep' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(1, 400, 999, 1_000, 2_500, 6_000) }),
  },
);
const settings: fc.Arbitrary<ModelSettings> = fc.record({
  opensMs: fc.constantFrom(0, startMs + 500),
  closesMs: fc.constantFrom(startMs + 5_000, startMs * 2),
  override: fc.constantFrom('none' as const, 'none' as const, 'none' as const, 'paused' as const, 'closed' as const),
  ttlMs: fc.constant(1_000),
  seatsPerUserMax: fc.integer({ min: 2, max: 5 }),
  windowMs: fc.constant(3_000),
  resendMs: fc.constant(400),
  recordsMax: fc.constantFrom(3, 100),
  graceMs: fc.constant(2_000),
  attemptsMax: fc.constant(3),
});

const holdIdOf = (concertId: number, index: number): string =>
  `${concertId.toString(16).padStart(8, '0')}-0000-8000-8000-00000000000${index}`;

/** Plays the operations against Redis and the model, comparing every reply. */
async function play(
  scripts: ConcertScripts,
  concertId: number,
  given: ModelSettings,
  operations: readonly Operation[],
): Promise<HoldModel> {
  const model = new HoldModel(seatCount, given);
  model.nowMs = startMs;
  await setTestClock(redis, startMs);
  await openConcert(scripts, concertId, { seats: '0'.repeat(seatCount), ...given });
  for (const step of operations) {
    const reply = await playOne(scripts, concertId, model, step);
    expect(reply.actual, JSON.stringify(step)).toEqual(reply.expected);
  }
  return model;
}

async function playOne(
  scripts: ConcertScripts,
  concertId: number,
  model: HoldModel,
  step: Operation,
): Promise<{ actual: unknown; expected: unknown }> {
  const { windowMs, resendMs, recordsMax, graceMs, attemptsMax } = model.settings;
  const who = (of: { fan: number; hold: number }) => [userIds[of.fan] ?? '', holdIdOf(concertId, of.hold)] as const;
  switch (step.op) {
    case 'wait':
      model.nowMs += step.ms;
      await setTestClock(redis, model.nowMs);
      return { actual: null, expected: null };
    case 'hold': {
      const args = step.requests.flatMap((request) => {
        const [user, id] = who(request);
        return [id, user, request.keyed ? 1 : 0, request.total, request.seats.length, request.seats.join()];
      });
      const actual = await scripts.run('hold', concertId, [windowMs, resendMs, recordsMax, ...args]);
      const requests = step.requests.map((request) => ({ ...request, user: who(request)[0], id: who(request)[1] }));
      return { actual, expected: model.hold(requests) };
    }
    case 'begin':
      return {
        actual: await scripts.run('begin', concertId, [...who(step), step.attempt, graceMs, attemptsMax]),
        expected: model.begin(...who(step), step.attempt),
      };
    case 'releasePay':
      return {
        actual: await scripts.run('release_pay', concertId, [...who(step), step.attempt]),
        expected: model.releasePay(...who(step), step.attempt),
      };
    case 'release':
      return {
        actual: await scripts.run('release', concertId, [...who(step), windowMs, resendMs]),
        expected: model.release(...who(step)),
      };
    case 'settle':
      return {
        actual: await scripts.run('settle', concertId, [
          ...who(step),
          7,
          step.seats.length,
          step.seats.join(),
          windowMs,
        ]),
        expected: model.settle(...who(step), 7, step.seats),
      };
    case 'cancel':
      return {
        actual: await scripts.run('cancel', concertId, [
          ...who(step),
          7,
          step.seats.length,
          step.seats.join(),
          windowMs,
          step.keep ? 1 : 0,
        ]),
        expected: model.cancel(...who(step), 7, step.seats, step.keep),
      };
    case 'sweep': {
      let ended = 0;
      for (;;) {
        const [, count, next] = await scripts.run('sweep', concertId, [2, windowMs, resendMs]);
        ended += Number(count);
        if (Number(next) === -1 || Number(next) > model.nowMs) break;
      }
      return { actual: ended, expected: model.sweep() };
    }
  }
}

async function readLog(concertId: number): Promise<Change[]> {
  const entries = await redis.xrange(keysOf(concertId).log, '-', '+');
  return entries.map(([id, fields]) => {
    const decoded = decodeChange(id, fields[1] ?? '');
    if (!decoded.ok) throw new Error(decoded.failure);
    return decoded.value;
  });
}

/** Seats, log and model tell one story, and the log alone rebuilds the seats. */
async function expectOneStory(concertId: number, model: HoldModel): Promise<void> {
  expect(await redis.get(keysOf(concertId).all[0])).toBe(model.seats.join(''));
  const [restored, ...changes] = await readLog(concertId);
  expect(restored?.kind).toBe('restored');
  expect(changes.map((change) => change.n)).toEqual(changes.map((_, index) => index + 1));
  expect(
    sorted(
      changes.map(({ kind, seatState, booking }) =>
        [kind, seatState, booking?.id, booking?.phase, booking?.seats.join(), booking?.expiresAtMs].join(),
      ),
    ),
  ).toEqual(
    sorted(
      model.log.map(({ kind, seatState, record }) =>
        [kind, seatState, record.id, record.phase, record.seats.join(), record.expires].join(),
      ),
    ),
  );
  const rebuilt = Array.from({ length: seatCount }, () => '0');
  for (const { seatState, booking } of changes)
    if (seatState !== '-') for (const seat of booking?.seats ?? []) rebuilt[seat] = seatState;
  expect(rebuilt).toEqual(model.seats);
}
// One sweep ends several holds; their order among themselves is not part of the contract.
const sorted = (list: string[]): string[] => [...list].sort();

describe('the scripts and the in-memory model', () => {
  it('answer the same over 2,500 random sequences, and leave the same state and log', async () => {
    const scripts = scriptsWithTestClock(redis);
    let concertId = 1_000;
    await fc.assert(
      fc.asyncProperty(settings, fc.array(operation, { minLength: 5, maxLength: 30 }), async (given, operations) => {
        concertId += 1;
        await expectOneStory(concertId, await play(scripts, concertId, given, operations));
      }),
      { numRuns: 2_500, endOnFailure: false },
    );
  }, 240_000);

  it.each(['seats_free', 'seat_limit', 'settle_seats_free'] as const)(
    'finds the fault when the guard %s is off',
    async (guard) => {
      const scripts = scriptsWithTestClock(redis, [guard]);
      let concertId = 500_000 + guard.length * 10_000;
      const property = fc.asyncProperty(
        settings,
        fc.array(operation, { minLength: 5, maxLength: 30 }),
        async (given, operations) => {
          concertId += 1;
          await expectOneStory(concertId, await play(scripts, concertId, given, operations));
        },
      );
      const outcome = await fc.check(property, { numRuns: 500, endOnFailure: true });
      expect(outcome.failed).toBe(true);
    },
    60_000,
  );

  it('answers recovering, and writes nothing, when the server has another life than the concert', async () => {
    const scripts = new ConcertScripts(redis);
    await openConcert(scripts, 7, { seats: '000' });
    await redis.hset(keysOf(7).all[4], 'run_id', 'f'.repeat(40));
    const calls = [
      scripts.run('hold', 7, [1, 1, 1, holdIdOf(7, 0), userIds[0] ?? '', 0, 1, 1, '0']),
      scripts.run('begin', 7, ['u', 'i', 1, 1, 1]),
      scripts.run('release_pay', 7, ['u', 'i', 1]),
      scripts.run('release', 7, ['u', 'i', 1, 1]),
      scripts.run('settle', 7, ['u', 'i', 1, 1, '0', 1]),
      scripts.run('cancel', 7, ['u', 'i', 1, 1, '0', 1, 0]),
      scripts.run('sweep', 7, [1, 1, 1]),
      scripts.run('snapshot', 7, []),
      scripts.run('find', 7, ['u', 'i']),
    ];
    expect((await Promise.all(calls)).map(([status]) => status)).toEqual(calls.map(() => 'recovering'));
    expect(await redis.xlen(keysOf(7).log)).toBe(1);
  });

  it('refuses a restore of an epoch that is not newer, and the rest of one that was overtaken', async () => {
    const scripts = new ConcertScripts(redis);
    await openConcert(scripts, 8, { seats: '000', epoch: 3 });
    expect(await scripts.run('restore', 8, ['start', 3, '000'])).toEqual(['stale_epoch']);
    expect(await scripts.run('restore', 8, ['start', 4, '000'])).toEqual(['done']);
    expect(await scripts.run('restore', 8, ['start', 5, '000'])).toEqual(['done']);
    expect(await scripts.run('restore', 8, ['open', 4, 1, 0, 1, 'none', 1, 1])).toEqual(['stale_epoch']);
    expect(await scripts.run('snapshot', 8, [])).toEqual(['recovering']);
  });

  it('runs from its text when the server has lost its script cache', async () => {
    const scripts = new ConcertScripts(redis);
    await openConcert(scripts, 9, { seats: '000' });
    await redis.script('FLUSH');
    expect((await scripts.run('snapshot', 9, []))[0]).toBe('snapshot');
  });
});
