import { Redis } from 'ioredis';
import { limits } from '../limits.ts';
import type { Logger } from '../log.ts';

/**
 * Connections to Redis, by what they may do when the server is away.
 * - `commands` neither resend by themselves nor queue while offline: a command that was sent once may have run, and only the
 *   store knows that repeating it is safe (it repeats the same ids).
 * - `subscriber` waits for the server to come back and subscribes again.
 * - `producer` adds jobs and fails at once when the queue's server is away; `worker` blocks and waits, as BullMQ asks.
 */
type Kind = 'commands' | 'subscriber' | 'producer' | 'worker';

export function connectRedis(url: string, kind: Kind, log: Logger): Redis {
  const retryStrategy = (tries: number) => Math.min(50 * tries, 1_000);
  const common = { retryStrategy, connectTimeout: 2_000, lazyConnect: false };
  const byKind = {
    commands: {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: limits.redisCommandTimeoutMs,
    },
    subscriber: { enableOfflineQueue: true, autoResubscribe: true, maxRetriesPerRequest: null },
    producer: { enableOfflineQueue: false, maxRetriesPerRequest: 1 },
    worker: { enableOfflineQueue: true, maxRetriesPerRequest: null },
  } as const;
  const redis = new Redis(url, { ...common, ...byKind[kind] });
  let away = false;
  redis.on('error', (error: Error) => {
    if (!away) log.warn({ kind, reason: error.message }, 'redis is away');
    away = true;
  });
  redis.on('ready', () => {
    if (away) log.info({ kind }, 'redis is back');
    away = false;
  });
  return redis;
}

/** Resolves when the connection is usable; rejects after `timeoutMs`. */
export async function whenReady(redis: Redis, timeoutMs = 10_000): Promise<void> {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      redis.off('ready', ready);
      reject(new Error(`Redis at ${redis.options.host}:${redis.options.port} did not answer within ${timeoutMs} ms.`));
    }, timeoutMs);
    const ready = () => {
      clearTimeout(timer);
      resolve();
    };
    redis.once('ready', ready);
  });
}
