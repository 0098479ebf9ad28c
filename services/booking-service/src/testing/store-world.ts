import { readFileSync } from 'node:fs';
import { validateVenue } from '@frontrow/shared/contracts/venue.ts';
import { randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { openDatabase, openShards, type Shards, statement } from '@frontrow/shared/mysql/pool.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import type { Redis } from 'ioredis';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../../../scripts/data/servers.ts';
import { CatalogRepo } from '../catalog/catalog.repo.ts';
import type { Concert } from '../catalog/concert.ts';
import { type LogPlace, lastInLog } from '../engine/log.ts';
import { ConcertScripts } from '../engine/scripts.ts';
import { readCursorOf } from '../persist/persist.repo.ts';
import { Persister } from '../persist/persist.ts';
import { Recovery } from '../recovery/recovery.ts';

/**
 * A real Redis and a real database server with two shards that stand for two databases of their own: the same concert is on
 * each, so that one log can be stored in two ways and compared.
 */
export interface StoreWorld {
  redisServer: TestServer;
  mysql: TestMysql;
  redis: Redis;
  scripts: ConcertScripts;
  shards: [Shards, Shards];
  /** Creates a concert of 300 seats on both shards and opens it in Redis from the first. */
  openConcert(concertId: number): Promise<Concert>;
  persister(shards?: Shards): Persister;
  /** @param seen what the recovering process saw live. */
  recovery(seen?: () => LogPlace): Recovery;
  stop(): Promise<void>;
}

export const quietLog = createLogger('test', 'fatal');
export const userId = (n: number): string => `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

export async function startStoreWorld(): Promise<StoreWorld> {
  const [redisServer, mysql] = await Promise.all([startTestRedis(), startTestMysql({ shards: 2 })]);
  const redis = connectRedis(redisServer.url, 'commands', quietLog);
  await whenReady(redis);
  const scripts = new ConcertScripts(redis);
  const directory = openDatabase(mysql.directoryUrl);
  const [firstUrl, secondUrl] = mysql.bookingShardUrls;
  const shards: [Shards, Shards] = [openShards([firstUrl ?? '']), openShards([secondUrl ?? ''])];
  const venue = validateVenue(
    JSON.parse(readFileSync(new URL('../../../../db/venues/club.json', import.meta.url), 'utf8')),
  );
  if (!venue.ok) throw new Error(venue.failure.join('; '));
  const repos = shards.map((own) => new CatalogRepo(directory, own));
  await repos[0]?.saveVenue(venue.value);
  const persister = (own: Shards = shards[0]) => new Persister({ redis, shards: own, log: quietLog });
  const recovery = (seen = (): LogPlace => ({ epoch: 0, n: -1 })) =>
    new Recovery({
      scripts,
      shards: shards[0],
      log: quietLog,
      readCursor: readCursorOf,
      persistRest: (id) => persister().persistAll(id),
      seen,
      lastInLog: (id) => lastInLog(redis, id),
    });
  return {
    redisServer,
    mysql,
    redis,
    scripts,
    shards,
    persister,
    recovery,
    openConcert: async (concertId) => {
      const about = {
        id: concertId,
        name: 'Test',
        artist: 'Test',
        startsAt: new Date(Date.now() + 9e8),
        opensAt: new Date(0),
        closesAt: new Date(Date.now() + 8e8),
        saleOverride: 'none' as const,
        holdTtlMs: limits.holdTtlMsMin,
        seatsPerUserMax: 100,
      };
      for (const repo of repos) await repo.createConcert(about, venue.value);
      const concert = (await repos[0]?.concertsChangedSince(new Date(0)))?.find(({ id }) => id === concertId);
      if (concert === undefined) throw new Error('The concert is not in the directory.');
      await recovery().recover(concert);
      // The second database follows the same life of Redis.
      await shards[1].all[0]?.run(followEpoch, [concertId]);
      return concert;
    },
    stop: async () => {
      redis.disconnect();
      await Promise.all([directory.close(), ...shards.map((own) => own.close())]);
      await Promise.all([redisServer.stop(), mysql.stop()]);
    },
  };
}

const followEpoch = statement('test.followEpoch', 'UPDATE log_cursor SET epoch = 1 WHERE concert_id = ?');

/** Everything that the database has of a concert, without the times at which rows were written. */
export async function rowsOf(shards: Shards, concertId: number): Promise<Record<string, unknown[]>> {
  const shard = shards.all[0];
  const read = (name: string, sql: string) =>
    shard?.rows<unknown>(statement(`test.${name}`, sql), [concertId]) ?? Promise.resolve([]);
  const [bookings, tickets, owners, concerts, cursor, dead, users] = await Promise.all([
    read(
      'bookings',
      'SELECT HEX(id) AS id, HEX(user_id) AS user_id, status, phase, CAST(seats AS CHAR) AS seats, total_amount_minor, attempt, expires_at, held_until, ended_at, version FROM bookings WHERE concert_id = ? ORDER BY id',
    ),
    read('tickets', 'SELECT seat_index, status FROM tickets WHERE concert_id = ? ORDER BY seat_index'),
    read(
      'owners',
      'SELECT HEX(booking_id) AS booking_id, seat_index FROM booking_tickets WHERE concert_id = ? ORDER BY seat_index',
    ),
    read('concerts', 'SELECT total_tickets, available_tickets FROM concerts WHERE concert_id = ?'),
    read('cursor', 'SELECT last_epoch, last_n FROM log_cursor WHERE concert_id = ?'),
    read(
      'dead',
      'SELECT change_epoch, change_n, kind, reason FROM dead_changes WHERE concert_id = ? ORDER BY change_epoch, change_n',
    ),
    read(
      'users',
      'SELECT HEX(user_id) AS user_id, HEX(booking_id) AS booking_id FROM user_bookings WHERE concert_id = ? ORDER BY user_id, booking_id',
    ),
  ]);
  return { bookings, tickets, owners, concerts, cursor, dead, users };
}

export interface Sale {
  id: string;
  user: string;
  seats: number[];
}

/** Plays fans on a concert through the scripts: holds, payments, declines, releases, cancellations, in a seeded order. */
export class Fans {
  readonly live: Sale[] = [];
  readonly sold: Sale[] = [];
  readonly #world: StoreWorld;
  readonly #concertId: number;
  readonly #random: () => number;

  constructor(world: StoreWorld, concertId: number, seed: number) {
    this.#world = world;
    this.#concertId = concertId;
    this.#random = mulberry32(seed);
  }

  async play(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) await this.#step();
  }

  async hold(user: string, seats: number[]): Promise<Sale> {
    const sale = { id: randomHoldId(this.#concertId), user, seats };
    const args = [
      limits.idempotencyWindowMs,
      limits.resendWindowMs,
      limits.recordsPerFanMax,
      sale.id,
      user,
      0,
      1_000 * seats.length,
      seats.length,
      seats.join(),
    ];
    const [, answer] = await this.#world.scripts.run('hold', this.#concertId, args);
    if (Array.isArray(answer) && answer[0] === 'held') this.live.push(sale);
    return sale;
  }

  settle(sale: Sale): Promise<unknown[]> {
    return this.#world.scripts.run('settle', this.#concertId, [
      sale.user,
      sale.id,
      1_000 * sale.seats.length,
      sale.seats.length,
      sale.seats.join(),
      limits.idempotencyWindowMs,
    ]);
  }

  async #step(): Promise<void> {
    const pick = this.#random();
    const { scripts } = this.#world;
    if (pick < 0.4 || this.live.length === 0) {
      const first = Math.floor(this.#random() * 298);
      await this.hold(
        userId(Math.floor(this.#random() * 50)),
        [first, first + 1].slice(0, 1 + Math.floor(this.#random() * 2)),
      );
      return;
    }
    const sale = this.live[Math.floor(this.#random() * this.live.length)];
    if (sale === undefined) return;
    const attempt = 1 + Math.floor(this.#random() * 3);
    if (pick < 0.6)
      await scripts.run('begin', this.#concertId, [
        sale.user,
        sale.id,
        attempt,
        limits.paymentGraceMs,
        limits.paymentAttemptsMax,
      ]);
    else if (pick < 0.7) await scripts.run('release_pay', this.#concertId, [sale.user, sale.id, attempt]);
    else if (pick < 0.8) {
      const [status] = await scripts.run('release', this.#concertId, [
        sale.user,
        sale.id,
        limits.idempotencyWindowMs,
        limits.resendWindowMs,
      ]);
      if (status === 'released') this.#forget(sale);
    } else if (pick < 0.95) {
      const [status] = await this.settle(sale);
      if (status === 'sold' && !this.sold.includes(sale)) this.sold.push(sale);
    } else {
      await scripts.run('cancel', this.#concertId, [
        sale.user,
        sale.id,
        1,
        sale.seats.length,
        sale.seats.join(),
        limits.idempotencyWindowMs,
        0,
      ]);
      this.#forget(sale);
      const index = this.sold.indexOf(sale);
      if (index >= 0) this.sold.splice(index, 1);
    }
  }

  #forget(sale: Sale): void {
    this.live.splice(this.live.indexOf(sale), 1);
  }
}

/** A small seeded generator (Tommy Ettinger's Mulberry32), so that a failing run can be played again. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
