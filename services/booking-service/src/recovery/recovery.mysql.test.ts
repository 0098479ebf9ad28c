import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { whenReady } from '@frontrow/shared/redis/connect.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { keysOf } from '../engine/keys.ts';
import { lastInLog } from '../engine/log.ts';
import { Fans, rowsOf, type StoreWorld, startStoreWorld, userId } from '../testing/store-world.ts';

let world: StoreWorld;
beforeAll(async () => {
  world = await startStoreWorld();
});
afterAll(() => world.stop());

const seatsOf = (concertId: number) => world.redis.get(keysOf(concertId).all[0]);
const statusOf = async (concertId: number) => (await world.scripts.run('snapshot', concertId, []))[0];

/** Redis and MySQL say the same of every seat. */
async function expectOneStory(concertId: number): Promise<void> {
  await world.persister().persistAll(concertId);
  const rows = await rowsOf(world.shards[0], concertId);
  const tickets = rows.tickets as { status: string }[];
  const inMysql = tickets
    .map(({ status }) => ({ available: '0', booked: '1', sold: '2', blocked: '3' })[status])
    .join('');
  expect(inMysql).toBe(await seatsOf(concertId));
  expect(rows.dead).toEqual([]);
  expect(rows.concerts).toMatchObject([
    { available_tickets: tickets.filter(({ status }) => status === 'available').length },
  ]);
}

describe('losing Redis', () => {
  it("after its AOF's tail was cut in the middle of a sale, what was sold is sold and what was lost is said", async () => {
    const concertId = 21;
    const concert = await world.openConcert(concertId);
    const fans = new Fans(world, concertId, 7);
    await fans.play(200);
    await world.persister().persistAll(concertId);
    const durable = { sold: [...fans.sold], rows: await rowsOf(world.shards[0], concertId) };
    const stored = await lastInLog(world.redis, concertId);
    await fans.play(200);
    const before = await lastInLog(world.redis, concertId);
    await world.redisServer.kill();
    const bytes = cutTail(world.redisServer.dataDir, 0.25);
    await world.redisServer.restart();
    await vi.waitFor(() => whenReady(world.redis, 200), { timeout: 10_000 });

    const after = await lastInLog(world.redis, concertId);
    expect(bytes).toBeGreaterThan(10_000);
    expect(after?.n ?? -1).toBeLessThan(before?.n ?? 0);
    expect(await statusOf(concertId)).toBe('recovering');
    const seen = { epoch: before?.epoch ?? 0, n: before?.n ?? 0 };
    const report = await recoveryThatSaw(seen).recover(concert);

    const surviving = Math.max(stored?.n ?? 0, after?.n ?? 0);
    expect(report).toMatchObject({
      epoch: 2,
      persisted: surviving - (stored?.n ?? 0),
      lostAtLeast: seen.n - surviving,
    });
    expect(report?.lostAtLeast).toBeGreaterThan(0);
    expect(await statusOf(concertId)).toBe('snapshot');
    const seats = await seatsOf(concertId);
    const cancelledSince = (id: string) => !fans.sold.some((sale) => sale.id === id);
    for (const sale of durable.sold)
      if (!cancelledSince(sale.id)) for (const seat of sale.seats) expect(seats?.[seat], sale.id).toBe('2');
    await expectOneStory(concertId);
  });

  it('after it was emptied, everything stored is back: seats, holds with their phase and expiry, answers to repeats', async () => {
    const concertId = 22;
    const concert = await world.openConcert(concertId);
    const fans = new Fans(world, concertId, 8);
    await fans.play(300);
    await world.persister().persistAll(concertId);
    const seats = await seatsOf(concertId);
    const find = (sale: { user: string; id: string }) => world.scripts.run('find', concertId, [sale.user, sale.id]);
    const live = [...fans.live];
    const found = await Promise.all(live.map(find));
    await world.redis.flushall();
    expect(await statusOf(concertId)).toBe('recovering');
    expect(await world.recovery().recover(concert)).toMatchObject({ epoch: 2, persisted: 0, lostAtLeast: 0 });
    expect(await seatsOf(concertId)).toBe(seats);
    expect(await Promise.all(live.map(find))).toEqual(found);
    expect(fans.sold.length).toBeGreaterThan(5);
    for (const sale of fans.sold) expect(await fans.settle(sale)).toEqual(['sold']);
    await fans.play(100);
    await expectOneStory(concertId);
  });

  it('before anything of its newest life was stored, all that was seen of it is said to be lost', async () => {
    const concertId = 26;
    const concert = await world.openConcert(concertId);
    await new Fans(world, concertId, 12).play(40);
    const seen = (await lastInLog(world.redis, concertId)) ?? { epoch: 0, n: 0 };
    expect(seen.n).toBeGreaterThan(10);
    await world.redis.del(...keysOf(concertId).all.slice(0, 5));
    expect(await recoveryThatSaw(seen).recover(concert)).toMatchObject({ persisted: 0, lostAtLeast: seen.n });
    await expectOneStory(concertId);
  });

  it('restored from an older backup, it starts again from MySQL and not from the backup', async () => {
    const concertId = 23;
    const concert = await world.openConcert(concertId);
    const fans = new Fans(world, concertId, 9);
    await fans.play(80);
    const backup = await Promise.all(
      keysOf(concertId)
        .all.slice(0, 5)
        .map(async (key) => [key, await world.redis.dumpBuffer(key)] as const),
    );
    await fans.play(150);
    await world.persister().persistAll(concertId);
    const seats = await seatsOf(concertId);
    await world.redis.flushall();
    for (const [key, dump] of backup) if (dump) await world.redis.restore(key, 0, dump);
    // The server's life is another one than the backup's.
    await world.redis.hset(keysOf(concertId).all[4], 'run_id', '0'.repeat(40));
    await world.recovery().recover(concert);
    expect(await seatsOf(concertId)).toBe(seats);
    await expectOneStory(concertId);
  });

  it('never frees a stored sale, whatever was stored and whenever Redis is lost (random)', async () => {
    let concertId = 100;
    const runs = fc.array(fc.record({ steps: fc.integer({ min: 1, max: 40 }), persistFirst: fc.boolean() }), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(runs, fc.nat(1e6), async (lives, seed) => {
        concertId += 1;
        const concert = await world.openConcert(concertId);
        for (const [life, { steps, persistFirst }] of lives.entries()) {
          const fans = new Fans(world, concertId, seed + life);
          await fans.play(steps);
          if (persistFirst) await world.persister().persistAll(concertId);
          await fans.play(5);
          const soldRows = (await rowsOf(world.shards[0], concertId)).owners as { seat_index: number }[];
          await world.redis.del(...keysOf(concertId).all.slice(0, 5));
          await world.recovery().recover(concert);
          const seats = await seatsOf(concertId);
          for (const { seat_index } of soldRows) expect(seats?.[seat_index]).toBe('2');
          await expectOneStory(concertId);
        }
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  it('is done by one process at a time, and an overtaken one stops', async () => {
    const concertId = 24;
    const concert = await world.openConcert(concertId);
    await world.redis.del(...keysOf(concertId).all.slice(0, 5));
    const reports = await Promise.all(Array.from({ length: 5 }, () => world.recovery().recover(concert)));
    const done = reports.filter((report) => report !== null);
    expect(done.length).toBeGreaterThanOrEqual(1);
    expect(new Set(done.map((report) => report.epoch)).size).toBe(done.length);
    expect(await statusOf(concertId)).toBe('snapshot');
  });

  it('a reset deletes every booking and opens the concert anew', async () => {
    const concertId = 25;
    const concert = await world.openConcert(concertId);
    const fans = new Fans(world, concertId, 10);
    await fans.play(120);
    await world.persister().persistAll(concertId);
    await fans.hold(userId(3), [0]);
    expect(await world.recovery().reset(concert)).toEqual({ epoch: 2 });
    const rows = await rowsOf(world.shards[0], concertId);
    expect([rows.bookings, rows.owners, rows.users, rows.dead]).toEqual([[], [], [], []]);
    expect(await seatsOf(concertId)).toBe('0'.repeat(300));
    await new Fans(world, concertId, 11).play(60);
    await expectOneStory(concertId);
  });
});

/** Cuts this share of the file that Redis appends to: what a crashed disk would have lost. */
function cutTail(dataDir: string, share: number): number {
  const files = readdirSync(dataDir, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.incr.aof'));
  const file = join(dataDir, files[0] ?? '');
  const { size } = statSync(file);
  const cut = Math.floor(size * share);
  truncateSync(file, size - cut);
  return cut;
}

/** A recovery in a process that followed the concert up to this change. */
function recoveryThatSaw(place: { epoch: number; n: number }) {
  return world.recovery(() => place);
}
