import type { ConcertId } from '@frontrow/shared/ids.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { openDatabase, openShards } from '@frontrow/shared/mysql/pool.ts';
import { connectRedis } from '@frontrow/shared/redis/connect.ts';
import { CatalogRepo } from './catalog/catalog.repo.ts';
import { type LogPlace, lastInLog } from './engine/log.ts';
import { ConcertScripts, type Guard } from './engine/scripts.ts';
import { readCursorOf } from './persist/persist.repo.ts';
import { Persister } from './persist/persist.ts';
import { Recovery } from './recovery/recovery.ts';

interface StoreSettings {
  REDIS_URL: string;
  DIRECTORY_MYSQL_URL: string;
  BOOKING_SHARD_URLS: string[];
  BUCKET_SHARDS?: number[] | undefined;
}

interface StoreHooks {
  log: Logger;
  /** The newest change of a concert that this process saw live. */
  seen: (concertId: ConcertId) => LogPlace;
  onWritten?: (changes: number, dead: number) => void;
  withoutGuards?: readonly Guard[];
}

/** What the API and the workers of booking-service both stand on. */
export function openStores(settings: StoreSettings, { log, seen, onWritten, withoutGuards = [] }: StoreHooks) {
  const redis = connectRedis(settings.REDIS_URL, 'commands', log);
  const subscriber = connectRedis(settings.REDIS_URL, 'subscriber', log);
  const directory = openDatabase(settings.DIRECTORY_MYSQL_URL);
  const shards = openShards(settings.BOOKING_SHARD_URLS, settings.BUCKET_SHARDS);
  const scripts = new ConcertScripts(redis, { withoutGuards });
  const persister = new Persister({ redis, shards, log, ...(onWritten && { onWritten }) });
  const recovery = new Recovery({
    scripts,
    shards,
    log,
    readCursor: readCursorOf,
    persistRest: (id) => persister.persistAll(id),
    seen,
    lastInLog: (id) => lastInLog(redis, id),
  });
  return {
    redis,
    subscriber,
    shards,
    scripts,
    catalogRepo: new CatalogRepo(directory, shards),
    persister,
    recovery,
    /** For /health/ready. */
    dependencies: {
      redis: () => redis.ping(),
      directory: () => directory.ping(),
      shards: () => Promise.all(shards.all.map((shard) => shard.ping())),
    },
    close: async () => {
      redis.disconnect();
      subscriber.disconnect();
      await Promise.all([directory.close(), shards.close()]);
    },
  };
}
