import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { apiEnv as bookingApiEnv, workerEnv as bookingWorkerEnv } from '../../services/booking-service/src/env.ts';
import { mainEnv as paymentEnv, workerEnv as paymentWorkerEnv } from '../../services/payment-service/src/env.ts';
import { envSchema as sandboxEnv } from '../../services/sandbox-provider/src/env.ts';
import { envSchema as userEnv } from '../../services/user-service/src/env.ts';
import { projectRoot } from './files.ts';
import { wantedPorts } from './processes.ts';
import { loadSettings, parseSettings, SettingsError, settingNames } from './settings.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function faultsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

test('without any variable the project has its own ports and private servers', () => {
  const settings = parseSettings({});
  expect(settings).toMatchObject({ nodeEnv: 'development', bookingProcesses: 2, redis: undefined, mysql: undefined });
  expect(settings.dataDir).toBe(join(projectRoot, '.data'));
  expect(
    wantedPorts(settings)
      .map(({ port }) => port)
      .sort((one, other) => one - other),
  ).toEqual([8080, 8081, 8082, 8083, 8084, 8091, 8092, 8093, 8094, 8095, 8096, 8097, 8098, 13306, 16379]);
});

test('every fault is said at once', () => {
  const faults = faultsOf(() =>
    parseSettings({
      NODE_ENV: 'staging',
      USER_PORT: '70000',
      BOOKING_PROCESSES: '0',
      REDIS_URL: 'http://localhost',
      MYSQL_GLOBAL_URL: 'mysql://root@127.0.0.1/frontrow',
      PAYMENT_PORT: '8080',
    }),
  );
  const named = faults.map((fault) => fault.split(':')[0]);
  for (const name of ['NODE_ENV', 'USER_PORT', 'BOOKING_PROCESSES', 'REDIS_URL', 'PAYMENT_PORT', 'MYSQL_SHARD_URLS'])
    expect(named).toContain(name);
});

test('MySQL URLs go together', () => {
  expect(faultsOf(() => parseSettings({ MYSQL_GLOBAL_URL: 'mysql://root@127.0.0.1/frontrow' })).join()).toContain(
    'MYSQL_SHARD_URLS',
  );
  const both = { MYSQL_GLOBAL_URL: 'mysql://a@h/frontrow', MYSQL_SHARD_URLS: 'mysql://a@h/s0, mysql://a@h/s1' };
  expect(parseSettings(both).mysql).toEqual({
    global: 'mysql://a@h/frontrow',
    shards: ['mysql://a@h/s0', 'mysql://a@h/s1'],
  });
});

test("the queue uses the seats' Redis unless it has its own", () => {
  expect(parseSettings({ REDIS_URL: 'redis://h:1' }).redis).toEqual({ seats: 'redis://h:1', queue: 'redis://h:1' });
  expect(parseSettings({ REDIS_URL: 'redis://h:1', QUEUE_REDIS_URL: 'redis://h:2' }).redis?.queue).toBe('redis://h:2');
  expect(faultsOf(() => parseSettings({ QUEUE_REDIS_URL: 'redis://h:2' })).join()).toContain('REDIS_URL');
});

test('a port of a booking process that is not started may be taken', () => {
  expect(faultsOf(() => parseSettings({ USER_PORT: '8099' }))).toEqual([]);
  expect(faultsOf(() => parseSettings({ USER_PORT: '8099', BOOKING_PROCESSES: '3' }))).toHaveLength(1);
});

test('a misspelt variable in .env is said, with the one that is meant', () => {
  writeFileSync(join(folder, '.env'), 'ORIGN_PORT=9000\nUSER_PORT=x\n');
  const faults = faultsOf(() => loadSettings(folder));
  expect(faults.join('\n')).toContain('ORIGN_PORT: .env has it, but there is no such setting; is ORIGIN_PORT meant?');
  expect(faults.join('\n')).toContain('USER_PORT');
});

test('.env gives settings', () => {
  writeFileSync(join(folder, '.env'), 'ORIGIN_PORT=9000\nLOG_LEVEL=debug\nUSER_PORT=\n');
  const settings = loadSettings(folder);
  expect(settings.ports).toMatchObject({ ORIGIN_PORT: 9000, USER_PORT: 8081 });
  expect(settings.serviceEnv).toEqual({ LOG_LEVEL: 'debug' });
});

test('.env.example explains every setting and no other, and every variable of a service that runs alone', () => {
  const text = readFileSync(join(projectRoot, '.env.example'), 'utf8');
  const namesIn = (part: string) => [...part.matchAll(/^#?\s?([A-Z][A-Z0-9_]*)=/gm)].flatMap((match) => match[1] ?? []);
  const [settings = '', alone = ''] = text.split(/^# === One service alone =+$/m);
  expect([...new Set(namesIn(settings))].sort()).toEqual(settingNames);

  const schemas = [userEnv, bookingApiEnv, bookingWorkerEnv, paymentEnv, paymentWorkerEnv, sandboxEnv];
  const read = new Set(schemas.flatMap(({ shape }) => Object.keys(shape)));
  const explained = new Set(namesIn(text));
  expect([...read].filter((name) => !explained.has(name))).toEqual([]);
  expect(namesIn(alone).filter((name) => !read.has(name))).toEqual([]);
});
