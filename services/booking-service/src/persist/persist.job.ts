import type { ConcertId } from '@frontrow/shared/ids.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { openWorker } from '@frontrow/shared/queue/queue.ts';
import type { Redis } from 'ioredis';
import { durableLine, keysOf } from '../engine/keys.ts';
import type { LogPlace } from '../engine/log.ts';
import { isBefore, type Persister, type PersistOutcome } from './persist.ts';

/** A job names a range of a concert's log, not its changes: the log is read by whoever does the job. */
export interface PersistJob {
  concertId: ConcertId;
  to: LogPlace;
}

interface WorkerOptions {
  persister: Persister;
  /** The seats' Redis: tells the processes what is stored. */
  redis: Redis;
  queueConnection: Redis;
  log: Logger;
  concurrency: number;
}

export function startPersistWorker({ persister, redis, queueConnection, log, concurrency }: WorkerOptions) {
  return openWorker<PersistJob, PersistOutcome>('persist', queueConnection, { concurrency, log }, async ({ data }) => {
    let outcome = await persister.persist(data.concertId, data.to);
    while (outcome.status === 'written' && isBefore(outcome.last, data.to)) {
      outcome = await persister.persist(data.concertId, data.to);
    }
    if (outcome.status === 'gap')
      log.error(
        { alarm: 'log_gap', concertId: data.concertId, ...outcome.last },
        'the log does not go on where the rows stand',
      );
    if (outcome.status === 'written' || outcome.status === 'up_to_date') {
      await redis.spublish(keysOf(data.concertId).live, `${durableLine}|${outcome.last.epoch}-${outcome.last.n}`);
      await persister.trim(data.concertId, outcome.last);
    }
    return outcome;
  });
}
