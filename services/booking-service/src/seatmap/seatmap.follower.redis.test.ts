import { type Change, versionOf } from '@frontrow/shared/contracts/change.ts';
import { randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startTestRedis, type TestServer } from '../../../../scripts/data/servers.ts';
import { durableLine, keysOf } from '../engine/keys.ts';
import { lastInLog } from '../engine/log.ts';
import { ConcertScripts } from '../engine/scripts.ts';
import { openConcert } from '../engine/testing.ts';
import { SeatMapFollower } from './seatmap.follower.ts';
import { SeatMap } from './seatmap.ts';

const log = createLogger('test', 'fatal');
const seatCount = 200;
const waiting = { timeout: 10_000, interval: 10 };

let server: TestServer;
let redis: Redis;
let subscriber: Redis;
let scripts: ConcertScripts;
let follower: SeatMapFollower;
/** Compares with Redis now and then. */
let comparing: SeatMapFollower;
let map: SeatMap;
let concertId = 0;
let heard: Change[] = [];
let durable: number[] = [];

beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'commands', log);
  subscriber = connectRedis(server.url, 'subscriber', log);
  await Promise.all([whenReady(redis), whenReady(subscriber)]);
  scripts = new ConcertScripts(redis);
});
afterAll(async () => {
  redis.disconnect();
  subscriber.disconnect();
  await server.stop();
});
beforeEach(async () => {
  concertId += 1;
  [heard, durable] = [[], []];
  map = new SeatMap(concertId, 1, seatCount);
  subscriber.removeAllListeners('smessage');
  const options = {
    scripts,
    redis,
    subscriber,
    log,
    onChange: (_: number, change: Change) => heard.push(change),
    onDurable: (_: number, version: number) => durable.push(version),
  };
  // What the first one finds, it finds by what it hears.
  follower = new SeatMapFollower({ ...options, compareEveryMs: 3_600_000 });
  comparing = new SeatMapFollower({ ...options, compareEveryMs: 100 });
  await openConcert(scripts, concertId, { seats: '0'.repeat(seatCount) });
});
afterEach(() => {
  follower.stop();
  comparing.stop();
});

let fans = 0;
async function hold(...seats: number[]): Promise<void> {
  fans += 1;
  const user = `01900000-0000-7000-8000-${String(fans).padStart(12, '0')}`;
  const windows = [limits.idempotencyWindowMs, limits.resendWindowMs, 128];
  const request = [randomHoldId(concertId), user, 0, 1, seats.length, seats.join()];
  expect(await scripts.run('hold', concertId, [...windows, ...request])).toEqual([
    'done',
    expect.arrayContaining(['held']),
  ]);
}

/** The map stands where Redis stands, seat by seat. */
async function expectEqual(): Promise<void> {
  const last = await lastInLog(redis, concertId);
  expect({ epoch: map.epoch, n: map.n }).toEqual(last);
  expect(JSON.parse(map.encoded().json).states).toBe(await redis.get(keysOf(concertId).all[0]));
}

/** Publications are lost until `hear` is called. */
const deafen = () => subscriber.sunsubscribe(keysOf(concertId).live);
const hear = () => subscriber.ssubscribe(keysOf(concertId).live);
/** `1-3` for each change that was heard. */
const idsHeard = () => heard.map(({ epoch, n }) => `${epoch}-${n}`);

describe('a followed map', () => {
  test('starts from the snapshot and hears every change once, in order', async () => {
    await hold(0);
    await follower.follow(map);
    expect([map.ready, map.version]).toEqual([true, versionOf(1, 1)]);
    for (let seat = 1; seat <= 20; seat += 1) await hold(seat);
    await vi.waitFor(expectEqual, waiting);
    expect(idsHeard()).toEqual(Array.from({ length: 20 }, (_, index) => `1-${index + 2}`));
  });

  test('misses nothing of what happens while it starts', async () => {
    const holds = Array.from({ length: seatCount }, (_, seat) => hold(seat));
    await Promise.all([...holds, follower.follow(map)]);
    await vi.waitFor(expectEqual, waiting);
  });

  test('is not ready as long as the concert is not open, and then is', async () => {
    const life = (await redis.hget(keysOf(concertId).all[4], 'run_id')) ?? '';
    await redis.hset(keysOf(concertId).all[4], 'run_id', 'another life');
    await comparing.follow(map);
    expect(map.ready).toBe(false);
    await redis.hset(keysOf(concertId).all[4], 'run_id', life);
    await vi.waitFor(expectEqual, waiting);
  });

  test('fills a gap from the log as soon as a later change shows it', async () => {
    await follower.follow(map);
    await deafen();
    for (const seat of [0, 1, 2]) await hold(seat);
    await hear();
    await hold(3);
    await vi.waitFor(expectEqual, waiting);
    expect(idsHeard()).toEqual(['1-1', '1-2', '1-3', '1-4']);
  });

  test('finds a lost publication by comparison, though nothing more happens', async () => {
    await comparing.follow(map);
    await deafen();
    await hold(5, 6);
    await vi.waitFor(expectEqual, waiting);
    expect(idsHeard()).toEqual(['1-1']);
  });

  test('fills a gap that is longer than one read', async () => {
    await follower.follow(map);
    await deafen();
    const booking = [randomHoldId(concertId), '01900000-0000-7000-8000-000000000000', 'held', 1, 1, 1, 0, 0, 1, 7].join(
      '|',
    );
    const pipeline = redis.pipeline();
    for (let n = 0; n < 12_001; n += 1) {
      const change = n % 2 === 0 ? `hold|1|1|${booking}` : `release|1|0|${booking}`;
      pipeline.xadd(keysOf(concertId).log, '1-*', 'c', change);
    }
    await pipeline.exec();
    await redis.setrange(keysOf(concertId).all[0], 7, '1');
    await hear();
    await hold(0);
    await vi.waitFor(expectEqual, waiting);
    expect(heard.map(({ n }) => n)).toEqual(Array.from({ length: 12_002 }, (_, index) => index + 1));
  });

  test('takes a new snapshot when the log was trimmed beyond it', async () => {
    await follower.follow(map);
    await deafen();
    for (const seat of [0, 1, 2]) await hold(seat);
    await redis.xtrim(keysOf(concertId).log, 'MINID', '1-3');
    await hear();
    await hold(3);
    await vi.waitFor(expectEqual, waiting);
    await hold(4);
    await vi.waitFor(expectEqual, waiting);
    // What only the snapshot brought is seen, not heard.
    expect(idsHeard()).toEqual(['1-5']);
  });

  test('starts anew with a new epoch that it hears of', async () => {
    await follower.follow(map);
    await hold(1);
    await openConcert(scripts, concertId, { epoch: 2, seats: '2'.repeat(seatCount) });
    await vi.waitFor(expectEqual, waiting);
    expect(map.version).toBe(versionOf(2, 0));
  });

  test('starts anew with a new epoch that it missed', async () => {
    await comparing.follow(map);
    await deafen();
    await openConcert(scripts, concertId, { epoch: 5, seats: '0'.repeat(seatCount) });
    await hold(1);
    await vi.waitFor(expectEqual, waiting);
    await hear();
    await hold(2);
    await vi.waitFor(expectEqual, waiting);
    expect(map.version).toBe(versionOf(5, 2));
  });

  test('goes on after a restart of Redis', async () => {
    await comparing.follow(map);
    await hold(1);
    await server.kill();
    await server.restart();
    await whenReady(redis);
    await openConcert(scripts, concertId, { epoch: 2, seats: `2${'0'.repeat(seatCount - 1)}` });
    await vi.waitFor(expectEqual, waiting);
    // Subscribed again: what happens now is heard at once.
    await vi.waitFor(() => expect(subscriber.status).toBe('ready'), waiting);
    await hold(1);
    await vi.waitFor(expectEqual, waiting);
  });

  test('is left when it cannot be read: what is no change does no harm', async () => {
    await follower.follow(map);
    const { live } = keysOf(concertId);
    await redis.spublish(live, '1-1|nonsense');
    await redis.spublish(live, '1-1|hold|x|1|2|3|4');
    await redis.spublish(live, 'no line at all');
    await hold(4);
    await vi.waitFor(expectEqual, waiting);
    expect(idsHeard()).toEqual(['1-1']);
  });

  test('passes on up to where the database stands', async () => {
    await follower.follow(map);
    await redis.spublish(keysOf(concertId).live, `${durableLine}|1-7`);
    await vi.waitFor(() => expect(durable).toEqual([versionOf(1, 7)]), waiting);
  });

  test('is no longer moved after unfollow', async () => {
    await follower.follow(map);
    await follower.unfollow(concertId);
    await hold(1);
    await follower.follow(new SeatMap(concertId, 1, seatCount));
    expect(map.version).toBe(versionOf(1, 0));
  });
});
