import { randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startTestRedis, type TestServer } from '../../../../scripts/data/servers.ts';
import { keysOf } from '../engine/keys.ts';
import { readLog } from '../engine/log.ts';
import { ConcertScripts } from '../engine/scripts.ts';
import { openConcert } from '../engine/testing.ts';
import { startSweeper } from './sweep.job.ts';

const log = createLogger('test', 'fatal');
const ttlMs = 300;
let server: TestServer;
let redis: Redis;
let scripts: ConcertScripts;
let concertId = 0;
const stops: (() => void)[] = [];
beforeAll(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'commands', log);
  await whenReady(redis);
  scripts = new ConcertScripts(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  concertId += 10;
  await openConcert(scripts, concertId, { seats: '0'.repeat(500), ttlMs });
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const until = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 5_000, interval: 10 });
const fanOf = (number: number): string => `01900000-0000-7000-8000-${String(number).padStart(12, '0')}`;

/** One batch of holds, a seat each, from this seat on. @returns their ids. */
async function holdSeats(from: number, count: number, id = concertId): Promise<string[]> {
  const holds = Array.from({ length: count }, (_, index) => ({ holdId: randomHoldId(id), seat: from + index }));
  const args = holds.flatMap(({ holdId, seat }) => [holdId, fanOf(seat), 0, 1, 1, seat]);
  const [status] = await scripts.run('hold', id, [limits.idempotencyWindowMs, limits.resendWindowMs, 128, ...args]);
  expect(status).toBe('done');
  return holds.map(({ holdId }) => holdId);
}

function sweep(concertIds: number[], onRecovering: (id: number) => void = () => undefined) {
  const ended = { holds: 0 };
  const onEnded = (holds: number) => {
    ended.holds += holds;
  };
  stops.push(startSweeper({ scripts, concertIds: () => concertIds, log, onRecovering, onEnded }));
  return ended;
}

const seatsOf = (id = concertId) => redis.get(keysOf(id).all[0]);
const endsOf = async (id = concertId) =>
  ((await readLog(redis, id, undefined, 10_000)) ?? []).filter(({ kind }) => kind === 'sweep');

describe('the sweeper', () => {
  test('ends every hold whose time is over, and none before, though nobody asks', async () => {
    const ended = sweep([concertId]);
    const heldAtMs = Date.now();
    for (let from = 0; from < 500; from += 100) await holdSeats(from, 100);
    expect(await seatsOf()).toBe('1'.repeat(500));
    await until(async () => expect(await seatsOf()).toBe('0'.repeat(500)));
    expect(Date.now() - heldAtMs).toBeGreaterThanOrEqual(ttlMs);
    const ends = await endsOf();
    expect(ends.map(({ booking }) => booking?.seats[0]).sort((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 500 }, (_, seat) => seat),
    );
    expect(ends.every(({ atMs, booking }) => booking !== null && atMs >= booking.expiresAtMs)).toBe(true);
    expect(ended.holds).toBe(500);
  });

  test('leaves alone what was let go, is being paid, or is sold', async () => {
    const [gone = '', paying = '', sold = '', left = ''] = await holdSeats(0, 4);
    await scripts.run('release', concertId, [fanOf(0), gone, 1_000, 1_000]);
    await scripts.run('begin', concertId, [fanOf(1), paying, 1, 60_000, 5]);
    await scripts.run('settle', concertId, [fanOf(2), sold, 1, 1, '2', 1_000]);
    sweep([concertId]);
    await until(async () => expect(await endsOf()).toHaveLength(1));
    expect((await endsOf())[0]?.booking?.id).toBe(left);
    expect((await seatsOf())?.slice(0, 4)).toBe('0120');
  });

  test('beside another one ends each hold once', async () => {
    const [one, other] = [sweep([concertId]), sweep([concertId])];
    for (let from = 0; from < 200; from += 20) await holdSeats(from, 20);
    await until(async () => expect(await seatsOf()).toBe('0'.repeat(500)));
    expect(await endsOf()).toHaveLength(200);
    expect(one.holds + other.holds).toBe(200);
  });

  test('says which concert is not of this life of the server, and sweeps the others', async () => {
    await openConcert(scripts, concertId + 1, { seats: '00', ttlMs });
    await holdSeats(0, 2, concertId + 1);
    await redis.hset(keysOf(concertId).all[4], 'run_id', 'another life');
    const recovering: number[] = [];
    sweep([concertId, concertId + 1], (id) => recovering.push(id));
    await until(async () => expect(await seatsOf(concertId + 1)).toBe('00'));
    expect(new Set(recovering)).toEqual(new Set([concertId]));
  });

  test('goes on with the others when one concert cannot be swept', async () => {
    await openConcert(scripts, concertId + 1, { seats: '00', ttlMs });
    await holdSeats(0, 2, concertId + 1);
    await redis.del(keysOf(concertId).all[2]);
    await redis.set(keysOf(concertId).all[2], 'no sorted set');
    sweep([concertId, concertId + 1]);
    await until(async () => expect(await seatsOf(concertId + 1)).toBe('00'));
  });

  test('goes on when Redis is back', async () => {
    const ended = sweep([concertId]);
    await holdSeats(0, 5);
    await server.kill();
    await server.restart();
    await whenReady(redis);
    const life = /run_id:(\w+)/.exec(await redis.info('server'))?.[1] ?? '';
    await redis.hset(keysOf(concertId).all[4], 'run_id', life);
    await until(async () => expect(await seatsOf()).toBe('0'.repeat(500)));
    expect(ended.holds).toBe(5);
  });
});
