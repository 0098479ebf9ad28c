import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { findBinary, freePort, startRedis, startTestRedis } from './servers.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs one command over a connection of its own. */
async function ask<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

describe('startTestRedis', () => {
  test('keeps what it acknowledged when it is killed, and removes its directory at the end', async () => {
    const server = await startTestRedis();
    cleanups.push(() => server.stop());
    await ask(server.url, (redis) => redis.set('seat', 'held'));
    await server.kill();
    await expect(ask(server.url, (redis) => redis.ping())).rejects.toThrow();
    await server.restart();
    expect(await ask(server.url, (redis) => redis.get('seat'))).toBe('held');
    await server.stop();
    expect(existsSync(server.dataDir)).toBe(false);
  });

  test('asks for its password, and neither evicts nor forgets', async () => {
    const server = await startTestRedis({ 'maxmemory-policy': 'noeviction', maxclients: '77' });
    cleanups.push(() => server.stop());
    await expect(ask(`redis://127.0.0.1:${server.port}`, (redis) => redis.ping())).rejects.toThrow();
    const settings = await ask(server.url, (redis) => redis.config('GET', 'append*', 'maxmemory-policy', 'maxclients'));
    expect(settings).toEqual(expect.arrayContaining(['always', 'yes', 'noeviction', '77']));
  });
});

describe('startRedis', () => {
  test('says what the server said when it does not come up', async () => {
    const port = await freePort();
    // It takes every connection and never answers.
    const other = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => other.close(resolve)));
    const dataDir = mkdtempSync(join(tmpdir(), 'frontrow-test-redis-'));
    cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
    await expect(startRedis({ dataDir, port })).rejects.toThrow(
      /redis-server on port \d+ ended at once .*already in use/s,
    );
  });
});

test('findBinary takes the first name that is installed', () => {
  expect(findBinary('no-such-program', 'redis-server')).toMatch(/\/redis-server$/);
  expect(findBinary('no-such-program')).toBeUndefined();
});
