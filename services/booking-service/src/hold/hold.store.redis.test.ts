import { randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startTestRedis, type TestServer } from '../../../../scripts/data/servers.ts';
import { keysOf } from '../engine/keys.ts';
import { readLog } from '../engine/log.ts';
import { ConcertScripts, type ScriptRunner } from '../engine/scripts.ts';
import { openConcert } from '../engine/testing.ts';
import { type HoldRequest, HoldStore } from './hold.store.ts';

let server: TestServer;
let redis: Redis;
let concertId = 0;
beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'commands', createLogger('test', 'fatal'));
  await whenReady(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  concertId += 1;
  await openConcert(new ConcertScripts(redis), concertId, { seats: '0'.repeat(2_000) });
});

/** The way to Redis: sees each call, and may lose its answer after the script has run. */
class Wire implements ScriptRunner {
  /** Hold ids of each call. */
  calls: string[][] = [];
  inFlight = 0;
  inFlightMax = 0;
  answersToLose = 0;

  evalsha(sha: string, keyCount: number, ...args: (string | number)[]): Promise<unknown> {
    return this.#watch(keyCount, args, () => redis.evalsha(sha, keyCount, ...args));
  }

  eval(source: string, keyCount: number, ...args: (string | number)[]): Promise<unknown> {
    return redis.eval(source, keyCount, ...args);
  }

  async #watch(keyCount: number, args: (string | number)[], run: () => Promise<unknown>): Promise<unknown> {
    this.calls.push(args.slice(keyCount + 3).flatMap((value, index) => (index % 6 === 0 ? [String(value)] : [])));
    this.inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    try {
      const answer = await run();
      if (this.answersToLose === 0) return answer;
      this.answersToLose -= 1;
      throw new Error('Command timed out');
    } finally {
      this.inFlight -= 1;
    }
  }

  get sizes(): number[] {
    return this.calls.map((ids) => ids.length);
  }
}

let fans = 0;
/** A new fan's wish for one seat. */
function wishFor(seat: number, concert = concertId): HoldRequest {
  fans += 1;
  const userId = `01900000-0000-7000-8000-${String(fans).padStart(12, '0')}`;
  return { concertId: concert, holdId: randomHoldId(concert), userId, keyed: false, totalMinor: 1, seats: [seat] };
}
const wishes = (count: number) => Array.from({ length: count }, (_, seat) => wishFor(seat));
const logOf = async (concert = concertId) => (await readLog(redis, concert, undefined, 10_000)) ?? [];

function storeOn(wire: ScriptRunner, options: ConstructorParameters<typeof HoldStore>[1] = {}): HoldStore {
  return new HoldStore(new ConcertScripts(wire), options);
}

describe('a batch', () => {
  test('is one hold that leaves at once when nothing else is on its way', async () => {
    const wire = new Wire();
    const store = storeOn(wire);
    const answer = store.hold(wishFor(0));
    expect(wire.sizes).toEqual([1]);
    expect(await answer).toMatchObject({ status: 'held', totalMinor: 1 });
  });

  test('is what came in while the one before was on its way, at most 128, one after the other', async () => {
    const wire = new Wire();
    const sizes: number[] = [];
    const store = storeOn(wire, { onBatch: (holds) => sizes.push(holds) });
    const requests = wishes(300);
    const answers = await Promise.all(requests.map((request) => store.hold(request)));
    expect(answers.every(({ status }) => status === 'held')).toBe(true);
    expect(wire.sizes).toEqual([1, 128, 128, 43]);
    expect([sizes, wire.inFlightMax]).toEqual([wire.sizes, 1]);
    // First come, first served.
    expect(wire.calls.flat()).toEqual(requests.map(({ holdId }) => holdId));
  });

  test('waits until a millisecond has passed since the last one, when that was larger than one or left this moment', async () => {
    vi.useFakeTimers();
    try {
      const sizes: number[] = [];
      const holdsIn = (args: unknown[]) => (args.length - 9) / 6;
      const instant: ScriptRunner = {
        evalsha: async (_, __, ...args) => ['done', ...Array.from({ length: holdsIn(args) }, () => ['sale_closed'])],
        eval: () => Promise.reject(new Error('not used')),
      };
      const store = storeOn(instant, { onBatch: (holds) => sizes.push(holds) });
      const submit = (count: number) => Promise.all(wishes(count).map((request) => store.hold(request)));
      await vi.advanceTimersByTimeAsync(5);
      const first = submit(3);
      await vi.advanceTimersByTimeAsync(0);
      expect(sizes).toEqual([1]);
      await vi.advanceTimersByTimeAsync(1);
      expect(sizes).toEqual([1, 2]);
      const second = submit(1);
      expect(sizes).toEqual([1, 2]);
      const third = submit(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(sizes).toEqual([1, 2, 2]);
      await vi.advanceTimersByTimeAsync(5);
      const fourth = submit(1);
      expect(sizes).toEqual([1, 2, 2, 1]);
      await Promise.all([first, second, third, fourth]);
    } finally {
      vi.useRealTimers();
    }
  });

  test('of one concert does not wait for another concert', async () => {
    const wire = new Wire();
    const store = storeOn(wire);
    await openConcert(new ConcertScripts(redis), concertId + 1, { seats: '00' });
    const answers = [store.hold(wishFor(0)), store.hold(wishFor(0, concertId + 1))];
    expect(wire.sizes).toEqual([1, 1]);
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(['held', 'held']);
    concertId += 1;
  });

  test('is off: each hold is a call of its own, all at once', async () => {
    const wire = new Wire();
    const store = storeOn(wire, { batching: false });
    await Promise.all(wishes(20).map((request) => store.hold(request)));
    expect([wire.sizes, wire.inFlightMax]).toEqual([Array.from({ length: 20 }, () => 1), 20]);
  });
});

test('each hold gets its own answer, whatever the others of its batch get', async () => {
  const store = storeOn(new Wire());
  const [first, second] = [wishFor(0), wishFor(1)];
  const answers = await Promise.all([
    store.hold(first),
    store.hold(wishFor(0)),
    store.hold(second),
    store.hold({ ...wishFor(5), seats: [0, 1, 5] }),
    store.hold(second),
    store.hold({ ...second, seats: [7] }),
    store.hold({ ...wishFor(0), seats: Array.from({ length: 9 }, (_, seat) => seat + 20) }),
  ]);
  expect(answers).toMatchObject([
    { status: 'held' },
    { status: 'seats_taken', seats: [0] },
    { status: 'held' },
    { status: 'seats_taken', seats: [0, 1] },
    { status: 'resent' },
    { status: 'idempotency_key_reused' },
    { status: 'seat_limit_reached', liveSeats: 0 },
  ]);
});

test('more holds than may wait are answered overloaded, at once', async () => {
  const store = storeOn(new Wire(), { waitingMax: 5 });
  const answers = await Promise.all(wishes(10).map((request) => store.hold(request)));
  expect(answers.map(({ status }) => status)).toEqual([
    ...Array.from({ length: 6 }, () => 'held'),
    ...Array.from({ length: 4 }, () => 'overloaded'),
  ]);
  expect(await storeOn(new Wire(), { waitingMax: 0 }).hold(wishFor(9))).toEqual({ status: 'overloaded' });
});

describe('a call is repeated with the same ids', () => {
  test('when its answer was lost: what was done is not done again', async () => {
    const wire = new Wire();
    wire.answersToLose = 2;
    const requests = wishes(4);
    const store = storeOn(wire);
    const answers = await Promise.all(requests.map((request) => store.hold(request)));
    expect(answers.every(({ status }) => status === 'held' || status === 'resent')).toBe(true);
    expect(answers.some(({ status }) => status === 'resent')).toBe(true);
    expect((await logOf()).flatMap(({ booking }) => booking?.id ?? []).sort()).toEqual(
      requests.map(({ holdId }) => holdId).sort(),
    );
  });

  test('while the concert recovers', async () => {
    const meta = keysOf(concertId).all[4];
    const life = await redis.hget(meta, 'run_id');
    await redis.hset(meta, 'run_id', 'another life');
    const wire = new Wire();
    const answer = storeOn(wire).hold(wishFor(3));
    await vi.waitFor(() => expect(wire.calls.length).toBeGreaterThan(2), { interval: 10 });
    expect(new Set(wire.calls.flat()).size).toBe(1);
    await redis.hset(meta, 'run_id', life ?? '');
    expect(await answer).toMatchObject({ status: 'held' });
  });

  test('until its deadline; then the fan hears that Redis is away', async () => {
    vi.useFakeTimers();
    try {
      const dead: ScriptRunner = {
        evalsha: () => Promise.reject(new Error('Stream isn’t writeable')),
        eval: () => Promise.reject(new Error()),
      };
      const answer = storeOn(dead).hold(wishFor(0));
      const outcome = expect(answer).rejects.toThrow(UnavailableError);
      let done = false;
      answer
        .catch(() => undefined)
        .finally(() => {
          done = true;
        });
      await vi.advanceTimersByTimeAsync(limits.holdDeadlineMs - 100);
      expect(done).toBe(false);
      await vi.advanceTimersByTimeAsync(200);
      await outcome;
    } finally {
      vi.useRealTimers();
    }
  });

  test('through a kill and a restart of Redis in the middle: each hold is answered once and stands once in the log', async () => {
    const wire = new Wire();
    const store = storeOn(wire);
    const requests = wishes(600);
    const answered: string[] = [];
    const all = requests.map(async (request, index) => {
      // A steady stream, so that some leave before, some while and some after Redis is away.
      await new Promise((resolve) => setTimeout(resolve, index));
      const answer = await store.hold(request);
      answered.push(`${answer.status} ${request.holdId}`);
    });
    await vi.waitFor(() => expect(answered.length).toBeGreaterThan(100), { interval: 2 });
    await server.kill();
    const beforeTheRestart = answered.length;
    await server.restart();
    await whenReady(redis);
    // The log was on disk, so the state is whole: the concert only has to be opened for this life of the server.
    const life = /run_id:(\w+)/.exec(await redis.info('server'))?.[1] ?? '';
    await redis.hset(keysOf(concertId).all[4], 'run_id', life);
    await Promise.all(all);

    expect(beforeTheRestart).toBeLessThan(600);
    expect(answered).toHaveLength(600);
    expect(answered.every((line) => /^(held|resent) /.test(line))).toBe(true);
    const logged = (await logOf()).flatMap(({ booking }) => booking?.id ?? []);
    expect(logged.sort()).toEqual(requests.map(({ holdId }) => holdId).sort());
    expect(await redis.get(keysOf(concertId).all[0])).toBe('1'.repeat(600) + '0'.repeat(1_400));
    expect(wire.inFlightMax).toBe(1);
  });
});
