import type { Server } from 'node:http';
import { uuidToBytes } from '@frontrow/shared/ids.ts';
import { Redis } from 'ioredis';
import mysql, { type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../scripts/data/servers.ts';
import { type AuditReport, auditConcert } from './audit.ts';
import { loadWorld, openWitnesses, type Witnesses } from './load.ts';
import { ledgerKey, plantMysql, plantRedis, startLedger } from './testing/plant.ts';
import { bookingId, chargeId, concertId, consistentWorld, paymentId, userId } from './testing/planted.ts';
import type { World } from './world.ts';

const schema = 'frontrow_shard_0_booking';

let mysqlServer: TestMysql;
let redisServer: TestServer;
let ledger: { url: string; server: Server };
let admin: Connection;
let redis: Redis;
let witnesses: Witnesses;
let world: World;

beforeAll(async () => {
  [mysqlServer, redisServer] = await Promise.all([startTestMysql(), startTestRedis()]);
  ledger = await startLedger(() => world.ledger);
  admin = await mysql.createConnection({ uri: mysqlServer.url, timezone: 'Z' });
  redis = new Redis(redisServer.url);
  witnesses = await openWitnesses({
    redisUrl: redisServer.url,
    shardUrls: mysqlServer.shardUrls,
    sandboxUrl: ledger.url,
    sandboxApiKey: ledgerKey,
  });
});

afterAll(async () => {
  await witnesses?.close();
  redis?.disconnect();
  await admin?.end();
  ledger?.server.close();
  await Promise.all([mysqlServer?.stop(), redisServer?.stop()]);
});

beforeEach(async () => {
  world = consistentWorld();
  await plantMysql(admin, world);
  await plantRedis(redis, world);
});

const audit = (waitMs = 0): Promise<AuditReport> =>
  auditConcert(witnesses, concertId, { waitMs: waitMs + 1_000, clients: world.clients });
const saidBy = ({ findings }: AuditReport): string =>
  Object.entries(findings)
    .flatMap(([name, { violations }]) => violations.map(({ message, ids }) => `${name}: ${message} [${ids.join(' ')}]`))
    .join('\n');

describe('a world in real servers', () => {
  test('is read as it was planted, from both shards, all pages and the packed records', async () => {
    const { world: read, isStill } = await loadWorld(witnesses, concertId, world.clients);
    expect(isStill).toBe(true);
    const byId = <T extends { id: string }>(rows: T[]): T[] => [...rows].sort((a, b) => a.id.localeCompare(b.id));
    expect(byId(read.redis.records)).toEqual(byId(world.redis.records));
    expect(read.redis).toEqual({ ...world.redis, records: read.redis.records });
    expect(byId(read.mysql.bookings)).toEqual(byId(world.mysql.bookings));
    expect(read.mysql.tickets).toEqual(world.mysql.tickets);
    expect(read.mysql.cursor).toEqual(world.mysql.cursor);
    expect(byId(read.money.payments)).toEqual(byId(world.money.payments));
    expect(read.money.refunds).toEqual(world.money.refunds);
    expect(read.ledger).toEqual(world.ledger);
  });

  test('passes when all tell one story (the control)', async () => {
    const report = await audit();
    expect(saidBy(report)).toBe('');
    expect(report).toMatchObject({
      passed: true,
      notQuiet: [],
      seats: { total: 10, sold: 3, held: 1, free: 5, blocked: 1 },
    });
    for (const [name, { examined }] of Object.entries(report.findings)) expect(examined, name).toBeGreaterThan(0);
  });
});

describe('a planted fault is found and named', () => {
  const expectSaid = async (...parts: string[]): Promise<void> => {
    const report = await audit();
    expect(report.passed).toBe(false);
    for (const part of parts) expect(saidBy(report)).toContain(part);
  };
  const run = async (sql: string, ...params: (string | number | Buffer)[]): Promise<void> => {
    const [result] = await admin.query(sql, params);
    expect(result).toMatchObject({ affectedRows: 1 });
  };

  test('one ticket row deleted', async () => {
    await run(`DELETE FROM ${schema}.tickets WHERE concert_id = ? AND seat_index = 4`, concertId);
    await expectSaid('seat-counts: MySQL has 9 ticket rows for 10 seats');
  });

  test('the ticket row of a sold seat deleted', async () => {
    await admin.query('SET foreign_key_checks = 0');
    await run(`DELETE FROM ${schema}.tickets WHERE concert_id = ? AND seat_index = 1`, concertId);
    await admin.query('SET foreign_key_checks = 1');
    await expectSaid('seat-owners: seat index 1 has no ticket row', bookingId('a'));
  });

  test('the owner of a booking swapped', async () => {
    const where = 'WHERE concert_id = ? AND id = ?';
    await run(
      `UPDATE ${schema}.bookings SET user_id = ? ${where}`,
      uuidToBytes(userId('b')),
      concertId,
      uuidToBytes(bookingId('a')),
    );
    await expectSaid('bookings-agree', 'accepted-holds', bookingId('a'), userId('a'), userId('b'));
  });

  test('the owner of a sold seat swapped', async () => {
    const set = `UPDATE ${schema}.booking_tickets SET booking_id = ? WHERE concert_id = ? AND seat_index = 0`;
    await run(set, uuidToBytes(bookingId('f')), concertId);
    await expectSaid(
      'booking-tickets: seat A-1-1',
      bookingId('a'),
      bookingId('f'),
      `charges: charge ${chargeId('a', 2)}`,
    );
  });

  test('a charge doubled', async () => {
    const charge = world.ledger.find(({ id }) => id === chargeId('f'));
    if (charge) world.ledger.push({ ...charge, id: chargeId('f', 2), key: `${paymentId('f')}:2` });
    await expectSaid(`charges: charge ${chargeId('f', 2)} of payment ${paymentId('f')}`, bookingId('f'), 'no seats');
  });

  test('a seat sold twice', async () => {
    const where = 'WHERE concert_id = ? AND id = ?';
    await run(`UPDATE ${schema}.bookings SET seats = '0' ${where}`, concertId, uuidToBytes(bookingId('f')));
    await expectSaid(`one-owner: seat A-1-1 is in 2 live bookings`, bookingId('a'), bookingId('f'));
  });

  test('a refund missing at the provider', async () => {
    for (const charge of world.ledger) charge.refunds = [];
    await expectSaid(
      `charges: charge ${chargeId('e')}`,
      `refunds: refund 1 of payment ${paymentId('e')} is unknown to the provider`,
    );
  });

  test('a 201 lost', async () => {
    world.clients?.push({
      e: 'hold',
      at: Date.UTC(2026, 10, 23, 13),
      user: userId('9'),
      id: bookingId('9'),
      seats: ['A-1-8'],
      totalMinor: 500,
      expiresAt: '2026-11-23T13:00:30.000Z',
    });
    await expectSaid(`accepted-holds: hold ${bookingId('9')} of seats A-1-8`, userId('9'));
  });

  test('a wrong byte in Redis', async () => {
    await redis.setrange(`{${concertId}}:seats`, 0, '0');
    await expectSaid(
      'seat-states: seat A-1-1: Redis says free, MySQL says sold',
      'log-outcome: seat A-1-1',
      bookingId('a'),
    );
  });

  test('Redis emptied', async () => {
    await redis.flushall();
    await expectSaid('seat-counts: Redis has no state of this concert', 'is live in MySQL and unknown to Redis');
  });

  test('a record of Redis in another layout is a failure, not a pass', async () => {
    await redis.eval(
      "redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack({{'id'}}))",
      1,
      `{${concertId}}:fans`,
      userId('a'),
    );
    await expect(audit()).rejects.toThrow();
  });

  test('a concert that does not come to rest', async () => {
    await run(`UPDATE ${schema}.log_cursor SET last_n = 2 WHERE concert_id = ?`, concertId);
    const report = await audit();
    expect(report.passed).toBe(false);
    expect(report.notQuiet.join()).toContain('MySQL has the log up to 3-2');
  });
});
