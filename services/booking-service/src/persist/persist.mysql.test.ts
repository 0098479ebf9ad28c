import { type Shards, type Sql, statement } from '@frontrow/shared/mysql/pool.ts';
import { openQueue } from '@frontrow/shared/queue/queue.ts';
import { connectRedis } from '@frontrow/shared/redis/connect.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { keysOf } from '../engine/keys.ts';
import { lastInLog } from '../engine/log.ts';
import {
  Fans,
  mulberry32,
  quietLog,
  rowsOf,
  type StoreWorld,
  startStoreWorld,
  userId,
} from '../testing/store-world.ts';
import { startPersistWorker } from './persist.job.ts';
import { Persister } from './persist.ts';
import { Relay } from './relay.job.ts';

let world: StoreWorld;
beforeAll(async () => {
  world = await startStoreWorld();
});
afterAll(() => world.stop());

const xadd = (concertId: number, id: string, text: string) => world.redis.xadd(keysOf(concertId).log, id, 'c', text);
const deadOf = async (concertId: number, shards = world.shards[0]) => (await rowsOf(shards, concertId)).dead;
const change = (kind: string, phase: string, seatState: string, seats: string, id: string, attempt = 0) =>
  [
    kind,
    1_800_000_000_000,
    seatState,
    id,
    userId(9),
    phase,
    500,
    1_800_000_100_000,
    1_800_000_100_000,
    attempt,
    0,
    1_800_000_000_000,
    seats,
  ].join('|');
const holdIdOn = (concertId: number, n: number) =>
  `${concertId.toString(16).padStart(8, '0')}-0000-8000-8000-${String(n).padStart(12, '0')}`;

/** A database that takes its time in the middle of transactions: jobs that stall, overtake and repeat one another. */
function slowShards(shards: Shards, random: () => number): Shards {
  const pause = () => new Promise((resolve) => setTimeout(resolve, random() * 8));
  const slow = new Map(
    shards.all.map((database) => [
      database,
      {
        ...database,
        transaction: <T>(work: (sql: Sql) => Promise<T>) =>
          database.transaction(async (sql) => {
            await pause();
            const result = await work(sql);
            await pause();
            return result;
          }),
      },
    ]),
  );
  const of = (database: Shards['all'][number]) => slow.get(database) ?? database;
  return { ...shards, all: shards.all.map(of), ofBucket: (bucket) => of(shards.ofBucket(bucket)) };
}

/** The cursor's guard taken out: it moves whatever stood there before. */
function withoutCursorGuard(shards: Shards): Shards {
  const unguarded = (sql: Sql): Sql => ({
    ...sql,
    run: async (what, params) => {
      const changed = await sql.run(what, params);
      return what.name === 'persist.moveCursor' ? 1 : changed;
    },
  });
  const wrap = (database: Shards['all'][number]) => ({
    ...database,
    transaction: <T>(work: (sql: Sql) => Promise<T>) => database.transaction((sql) => work(unguarded(sql))),
  });
  return { ...shards, ofBucket: (bucket) => wrap(shards.ofBucket(bucket)) };
}

describe('persisting a thousand changes', () => {
  it('twice and crossed leaves the same rows as once in order', async () => {
    const concertId = 11;
    await world.openConcert(concertId);
    await new Fans(world, concertId, 1).play(4_500);
    const last = await lastInLog(world.redis, concertId);
    expect(last?.n).toBeGreaterThan(1_000);
    await world.persister(world.shards[0]).persistAll(concertId);

    const random = mulberry32(2);
    const crossed = slowShards(world.shards[1], random);
    const workers = Array.from({ length: 6 }, async () => {
      const persister = new Persister({ redis: world.redis, shards: crossed, log: quietLog });
      for (let job = 0; job < 12; job += 1) {
        await persister.persist(concertId, { epoch: 1, n: Math.floor(random() * ((last?.n ?? 0) + 1)) });
      }
    });
    await Promise.all(workers);
    await world.persister(world.shards[1]).persistAll(concertId);

    const once = await rowsOf(world.shards[0], concertId);
    expect(await rowsOf(world.shards[1], concertId)).toEqual(once);
    expect(once.dead).toEqual([]);
    expect(once.bookings?.length).toBeGreaterThan(100);
    expect(once.owners?.length).toBeGreaterThan(20);
  }, 60_000);

  it('shows the fault when the cursor is not compared', async () => {
    const concertId = 12;
    await world.openConcert(concertId);
    await new Fans(world, concertId, 3).play(400);
    await world.persister(world.shards[0]).persistAll(concertId);
    const persister = new Persister({
      redis: world.redis,
      shards: slowShards(withoutCursorGuard(world.shards[1]), mulberry32(4)),
      log: quietLog,
    });
    await Promise.allSettled(Array.from({ length: 6 }, () => persister.persist(concertId)));
    expect(await rowsOf(world.shards[1], concertId)).not.toEqual(await rowsOf(world.shards[0], concertId));
  }, 60_000);

  it('goes through two relays and two workers on a real queue, while the sale runs', async () => {
    const concertId = 13;
    await world.openConcert(concertId);
    const connections = Array.from({ length: 8 }, (_, i) =>
      connectRedis(
        world.redisServer.url,
        (['producer', 'worker', 'subscriber', 'producer'] as const)[i % 4] ?? 'worker',
        quietLog,
      ),
    );
    const [p1, w1, s1, q1, p2, w2, s2, q2] = connections;
    if (!p1 || !w1 || !s1 || !q1 || !p2 || !w2 || !s2 || !q2) throw new Error('no connections');
    await vi.waitFor(() => expect(connections.every(({ status }) => status === 'ready')).toBe(true));
    const queues = [openQueue('persist', q1), openQueue('persist', q2)] as const;
    const relays = [s1, s2].map(
      (subscriber, i) =>
        new Relay({
          redis: world.redis,
          subscriber,
          queue: queues[i as 0 | 1],
          concertIds: () => [concertId],
          log: quietLog,
        }),
    );
    const workers = [w1, w2].map((queueConnection) =>
      startPersistWorker({
        persister: world.persister(world.shards[0]),
        redis: world.redis,
        queueConnection,
        log: quietLog,
        concurrency: 2,
      }),
    );
    for (const relay of relays) relay.start();
    await new Fans(world, concertId, 5).play(2_200);
    const last = await lastInLog(world.redis, concertId);
    await vi.waitFor(
      async () =>
        expect((await rowsOf(world.shards[0], concertId)).cursor).toEqual([{ last_epoch: 1, last_n: last?.n }]),
      { timeout: 20_000, interval: 50 },
    );
    for (const relay of relays) relay.stop();
    await Promise.all([...workers.map((worker) => worker.close()), ...queues.map((queue) => queue.close())]);
    for (const connection of connections) connection.disconnect();

    await world.persister(world.shards[1]).persistAll(concertId);
    expect(await rowsOf(world.shards[0], concertId)).toEqual(await rowsOf(world.shards[1], concertId));
  }, 60_000);
});

describe('a change that cannot be written', () => {
  it('goes aside, is counted, and stops none of the others', async () => {
    const concertId = 14;
    await world.openConcert(concertId);
    const fans = new Fans(world, concertId, 6);
    await fans.hold(userId(1), [0, 1]);
    await xadd(concertId, '1-2', 'hold|this is no change');
    await xadd(concertId, '1-3', change('begin', 'paying', '1', '5', holdIdOn(concertId, 1), 70_000));
    await fans.hold(userId(2), [2, 3]);
    const outcome = await world.persister().persist(concertId);
    expect(outcome).toMatchObject({ status: 'written', written: 5, dead: 2 });
    const rows = await rowsOf(world.shards[0], concertId);
    expect(rows.bookings).toHaveLength(2);
    expect(rows.dead).toEqual([
      { change_epoch: 1, change_n: 2, kind: 'unknown', reason: 'unreadable' },
      { change_epoch: 1, change_n: 3, kind: 'begin', reason: 'ER_WARN_DATA_OUT_OF_RANGE' },
    ]);
  });

  it('is written by a replay once the cause is mended, and what is unreadable stays', async () => {
    const concertId = 14;
    const shard = world.shards[0].all[0];
    expect(await world.persister().replayDead(concertId)).toMatchObject({
      replayed: 0,
      remaining: [{ reason: 'unreadable' }, { kind: 'begin' }],
    });
    await administer('ALTER TABLE bookings MODIFY attempt INT UNSIGNED NOT NULL DEFAULT 0');
    expect(await world.persister().replayDead(concertId)).toMatchObject({
      replayed: 1,
      remaining: [{ reason: 'unreadable' }],
    });
    expect(shard && (await rowsOf(world.shards[0], concertId)).bookings).toHaveLength(3);
    expect(await world.persister().replayDead(concertId)).toMatchObject({ replayed: 0 });
  });

  it('does not overwrite, when replayed, what happened to the booking since', async () => {
    const concertId = 15;
    await world.openConcert(concertId);
    const id = holdIdOn(concertId, 1);
    await xadd(concertId, '1-1', change('hold', 'held', '1', '7', id));
    await xadd(concertId, '1-2', change('begin', 'paying', '1', '7', id, 5_000_000_000));
    await xadd(concertId, '1-3', change('release', 'ended', '0', '7', id, 1));
    expect(await world.persister().persist(concertId, { epoch: 1, n: 2 })).toMatchObject({ dead: 1 });
    expect(await world.persister().persist(concertId)).toMatchObject({ written: 1, dead: 0 });
    expect(await world.persister().replayDead(concertId)).toMatchObject({ replayed: 1, remaining: [] });
    expect((await rowsOf(world.shards[0], concertId)).bookings).toMatchObject([
      { phase: 'ended', status: 'cancelled', attempt: 1 },
    ]);
  });
});

describe('the last guard', () => {
  it('raises the alarm at a planted double sale and keeps the first owner', async () => {
    const concertId = 16;
    await world.openConcert(concertId);
    const [first, second] = [holdIdOn(concertId, 1), holdIdOn(concertId, 2)];
    await xadd(concertId, '1-1', change('settle', 'sold', '2', '40,41', first));
    await xadd(concertId, '1-2', change('settle', 'sold', '2', '41,42', second));
    expect(await world.persister().persist(concertId)).toMatchObject({ status: 'written', dead: 1 });
    const rows = await rowsOf(world.shards[0], concertId);
    expect(rows.owners).toEqual(
      [40, 41].map((seat_index) => ({ booking_id: first.replaceAll('-', '').toUpperCase(), seat_index })),
    );
    expect(rows.dead).toEqual([{ change_epoch: 1, change_n: 2, kind: 'settle', reason: 'double_sale' }]);
    expect(rows.bookings).toHaveLength(1);
  });

  it('lets a cancelled seat be sold again, in one range and over two', async () => {
    const concertId = 17;
    await world.openConcert(concertId);
    const [first, second, third] = [1, 2, 3].map((n) => holdIdOn(concertId, n)) as [string, string, string];
    await xadd(concertId, '1-1', change('settle', 'sold', '2', '50', first));
    await world.persister().persist(concertId);
    await xadd(concertId, '1-2', change('cancel', 'lost', '0', '50', first));
    await xadd(concertId, '1-3', change('settle', 'sold', '2', '50', second));
    await xadd(concertId, '1-4', change('cancel', 'lost', '0', '50', second));
    await xadd(concertId, '1-5', change('settle', 'sold', '2', '50', third));
    expect(await world.persister().persist(concertId)).toMatchObject({ written: 4, dead: 0 });
    expect((await rowsOf(world.shards[0], concertId)).owners).toEqual([
      { booking_id: third.replaceAll('-', '').toUpperCase(), seat_index: 50 },
    ]);
    expect(await deadOf(concertId)).toEqual([]);
  });

  it('stops at a gap in the log', async () => {
    const concertId = 18;
    await world.openConcert(concertId);
    await xadd(concertId, '1-1', change('hold', 'held', '1', '1', holdIdOn(concertId, 1)));
    await xadd(concertId, '1-3', change('hold', 'held', '1', '2', holdIdOn(concertId, 2)));
    expect(await world.persister().persist(concertId)).toMatchObject({ status: 'written', last: { epoch: 1, n: 1 } });
    expect(await world.persister().persist(concertId)).toEqual({ status: 'gap', last: { epoch: 1, n: 1 } });
  });
});

/** As the operator who mends the cause: the service's own account may not change tables. */
async function administer(sql: string): Promise<void> {
  const { openDatabase } = await import('@frontrow/shared/mysql/pool.ts');
  const admin = openDatabase(`${world.mysql.url}/frontrow_shard_0_booking`);
  await admin.run(statement(`test.admin.${sql}`, sql), []);
  await admin.close();
}
