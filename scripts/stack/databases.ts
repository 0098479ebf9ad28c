import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type MigratedUrls, migrate } from '../data/migrate.ts';
import type { RunningServer } from '../data/server-process.ts';
import { startMariadb, startRedis } from '../data/servers.ts';
import type { Crew } from './crew.ts';
import type { Running } from './launch.ts';
import type { StackRecord } from './lock.ts';
import type { Secrets } from './secrets.ts';
import { portOf, type Settings } from './settings.ts';

/** Where Redis and MySQL are, with their passwords. */
export type Databases = NonNullable<StackRecord['databases']>;

export interface ReadyDatabases {
  urls: Databases;
  migrated: MigratedUrls;
}

const lastStage = 4;

/**
 * Starts private servers, or takes those that the settings name, and migrates.
 * @throws Error when a server does not start or cannot be reached, or a migration fails.
 */
export async function startDatabases(
  settings: Settings,
  secrets: Secrets,
  crew: Crew,
  say: (line: string) => void,
): Promise<ReadyDatabases> {
  const own = [...(settings.redis ? [] : ['Redis']), ...(settings.mysql ? [] : ['MariaDB'])];
  if (own.length > 0) say(`Starting ${own.join(' and ')}, private, in ${settings.dataDir} ...`);
  if (settings.redis) await checkRedis(settings.redis, say);
  const [redis, mysql] = await Promise.all([
    settings.redis ?? startOwnRedis(settings, secrets, crew),
    settings.mysql ?? startOwnMariadb(settings, secrets, crew),
  ]);
  say('Migrating the database ...');
  const migrated = await migrate({
    globalUrl: mysql.global,
    shardUrls: mysql.shards,
    passwords: {
      user: secrets.values.mysqlUserPassword,
      booking: secrets.values.mysqlBookingPassword,
      payment: secrets.values.mysqlPaymentPassword,
    },
  }).catch((error: unknown) => {
    throw settings.mysql ? new Error(`The MySQL of MYSQL_GLOBAL_URL and MYSQL_SHARD_URLS: ${reasonOf(error)}`) : error;
  });
  const urls: Databases = {
    redis,
    mysql: {
      global: mysql.global,
      shards: [...mysql.shards],
      users: migrated.usersUrl,
      directory: migrated.directoryUrl,
      booking: [...migrated.bookingShardUrls],
      payment: [...migrated.paymentShardUrls],
    },
  };
  return { urls, migrated };
}

/** Services would wait for a Redis that does not answer; a person should hear of it at once, and of one that can lose holds. */
async function checkRedis({ seats, queue }: Databases['redis'], say: (line: string) => void): Promise<void> {
  const urls = seats === queue ? { REDIS_URL: seats } : { REDIS_URL: seats, QUEUE_REDIS_URL: queue };
  for (const [name, url] of Object.entries(urls)) {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 5_000 });
    let fault: unknown;
    redis.on('error', (error) => {
      fault = error;
    });
    try {
      await redis.connect();
      const wanted = { appendonly: 'yes', 'maxmemory-policy': 'noeviction' };
      for (const [setting, value] of Object.entries(wanted)) {
        // Hosted servers may refuse CONFIG: then nothing is known, and nothing is said.
        const answer: unknown = await redis.config('GET', setting).catch(() => undefined);
        const found: unknown = Array.isArray(answer) ? answer[1] : undefined;
        if (found !== undefined && found !== value)
          say(`!! The Redis of ${name} has ${setting} ${found}; it should be ${value}.`);
      }
    } catch (error) {
      throw new Error(`The Redis of ${name}: ${reasonOf(fault ?? error)}`);
    } finally {
      redis.disconnect();
    }
  }
}

async function startOwnRedis(settings: Settings, secrets: Secrets, crew: Crew): Promise<Databases['redis']> {
  const port = portOf(settings, 'REDIS_PORT');
  const dataDir = join(settings.dataDir, 'redis');
  const password = secrets.values.redisPassword;
  const url = await startOwn('redis', port, dataDir, crew, (onSpawn) =>
    startRedis({ dataDir, port, password, onSpawn }),
  );
  return { seats: url, queue: url };
}

async function startOwnMariadb(
  settings: Settings,
  secrets: Secrets,
  crew: Crew,
): Promise<{ global: string; shards: string[] }> {
  const port = portOf(settings, 'MYSQL_PORT');
  const dataDir = join(settings.dataDir, 'mysql');
  const rootPassword = secrets.values.mysqlRootPassword;
  // What a test writes need not survive a power cut, and a commit then costs no disk write.
  const forTests =
    settings.nodeEnv === 'test' ? ({ flushLogAtCommit: 2, redoLogMb: 32, bufferPoolMb: 64 } as const) : {};
  const url = await startOwn('mariadb', port, dataDir, crew, (onSpawn) =>
    startMariadb({ dataDir, port, rootPassword, onSpawn, ...forTests }),
  );
  const shards = Array.from({ length: settings.mysqlShards }, (_, shard) => `${url}/frontrow_shard_${shard}`);
  return { global: `${url}/frontrow`, shards };
}

/** Puts a server under the crew's care; resolves with its URL when it answers. */
async function startOwn(
  name: string,
  port: number,
  dataDir: string,
  crew: Crew,
  start: (onSpawn: (pid: number) => void) => Promise<RunningServer>,
): Promise<string> {
  let url = '';
  const about = { name, ports: [port], stopStage: lastStage, logFile: join(dataDir, 'server.log') };
  await crew.add(about, () => async (onSpawn) => {
    const server = await start(onSpawn);
    url = server.url;
    return asRunning(server);
  });
  return url;
}

function asRunning(server: RunningServer): Running {
  return {
    pid: server.pid,
    exited: server.exited.then(() => 'its log says why'),
    stop: () => server.stop(),
    kill: (signal) => {
      process.kill(server.pid, signal);
    },
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
