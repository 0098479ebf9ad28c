import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../../scripts/data/servers.ts';
import type { TestHold } from './booking/testing.ts';
import {
  idSecret,
  newKey,
  sandboxApiKey,
  serviceTokenSecret,
  startWorld,
  until,
  type World,
  webhookSecret,
} from './testing.ts';

/** main.ts and worker.ts as processes, as the stack runs them. */
let mysql: TestMysql;
let redis: TestServer;
let world: World;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  [mysql, redis] = await Promise.all([startTestMysql(), startTestRedis()]);
  world = await startWorld({ paymentShardUrls: mysql.paymentShardUrls, redisUrl: redis.url });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await world?.stop();
  await Promise.all([mysql?.stop(), redis?.stop()]);
});

interface Running {
  opsUrl: string;
  url: string;
  end(signal: NodeJS.Signals): Promise<number | null>;
}

async function startProcess(entry: 'main' | 'worker'): Promise<Running> {
  const [port, opsPort] = [await freePort(), await freePort()];
  const file = fileURLToPath(new URL(`./${entry}.ts`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      LOG_LEVEL: 'fatal',
      PORT: String(port),
      OPS_PORT: String(opsPort),
      SERVICE_TOKEN_SECRET: serviceTokenSecret,
      JWKS_FILE: world.keys.jwksFile,
      HOLD_ID_SECRET: idSecret,
      QUEUE_REDIS_URL: redis.url,
      PAYMENT_SHARD_URLS: mysql.paymentShardUrls.join(','),
      BOOKING_INTERNAL_URL: world.booking.url,
      SANDBOX_URL: world.sandbox.url,
      SANDBOX_API_KEY: sandboxApiKey,
      SANDBOX_WEBHOOK_SECRET: webhookSecret,
      PROVIDER_TIMEOUT_MS: '500',
    },
  });
  children.add(child);
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const opsUrl = `http://127.0.0.1:${opsPort}`;
  await until(async () => (await fetch(`${opsUrl}/health/ready`)).status === 200, 20_000);
  return {
    opsUrl,
    url: `http://127.0.0.1:${port}`,
    end: (signal) => {
      child.kill(signal);
      return exit.finally(() => children.delete(child));
    },
  };
}

async function pay(api: Running, hold: TestHold, paymentMethod: string): Promise<string> {
  const reply = await fetch(`${api.url}/api/payments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${world.token(hold.userId)}`,
      'content-type': 'application/json',
      'idempotency-key': newKey(),
    },
    body: JSON.stringify({ bookingId: hold.id, paymentMethod }),
  });
  expect(reply.status).toBe(202);
  return z.object({ id: z.string() }).parse(await reply.json()).id;
}

test('a killed worker’s payments are finished by the next one; both processes stop in order', async () => {
  const api = await startProcess('main');
  const first = await startProcess('worker');
  const holds = Array.from({ length: 20 }, () => world.booking.newHold());
  const ids = await Promise.all(
    holds.map(async (hold, index) => {
      const method = ['pm_ok', 'pm_pending', 'pm_timeout', 'pm_timeout_unknown'][index % 4] ?? '';
      return await pay(api, hold, method);
    }),
  );
  const statuses = () => Promise.all(ids.map(async (id) => (await world.payments.read(id))?.status));
  await until(async () => (await statuses()).includes('completed'));
  await first.end('SIGKILL');
  const before = await statuses();
  expect(before).toContain('pending');

  const second = await startProcess('worker');
  await until(async () => (await statuses()).every((status) => status === 'completed'), 25_000);
  for (const id of ids) {
    expect(await world.sandbox.chargesOf(id)).toMatchObject([{ status: 'succeeded', refunds: [] }]);
  }
  expect(holds.every(({ phase }) => phase === 'sold')).toBe(true);
  const metrics = await (await fetch(`${second.opsUrl}/metrics`)).text();
  expect(metrics).toMatch(/payment_moves_total\{event="settled",process="payment-worker"\} [1-9]/);
  expect((await fetch(`${api.opsUrl}/openapi.json`)).status).toBe(200);
  expect(await Promise.all([api.end('SIGTERM'), second.end('SIGTERM')])).toEqual([0, 0]);
}, 60_000);

test('the queue’s Redis is away: a payment is taken all the same, and made when it is back', async () => {
  const [api, worker] = await Promise.all([startProcess('main'), startProcess('worker')]);
  await redis.kill();
  const hold = world.booking.newHold();
  const id = await pay(api, hold, 'pm_ok');
  const ready = await fetch(`${api.opsUrl}/health/ready`);
  expect(await ready.json()).toEqual({ status: 'not_ready', missing: ['queue'] });
  expect(hold.phase).toBe('paying');
  await redis.restart();
  await until(async () => (await world.payments.read(id))?.status === 'completed', 30_000);
  expect(await Promise.all([api.end('SIGTERM'), worker.end('SIGTERM')])).toEqual([0, 0]);
}, 90_000);
