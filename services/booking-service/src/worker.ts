import { parseEnv } from '@frontrow/shared/env.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger, type Logger } from '@frontrow/shared/log.ts';
import { openQueue } from '@frontrow/shared/queue/queue.ts';
import { connectRedis } from '@frontrow/shared/redis/connect.ts';
import { Catalog } from './catalog/catalog.ts';
import { workerEnv } from './env.ts';
import { startSweeper } from './hold/sweep.job.ts';
import { startPersistWorker } from './persist/persist.job.ts';
import { Relay } from './persist/relay.job.ts';
import type { Recovery } from './recovery/recovery.ts';
import { openStores } from './stores.ts';

const log = createLogger(process.env.PROCESS_NAME || 'booking-worker', 'info');
runProcess(log, () => start(log));

/** The background half of booking-service. Each role may run in any number of processes. */
async function start(log: Logger): Promise<() => Promise<void>> {
  const env = parseEnv(workerEnv);
  log.level = env.LOG_LEVEL;
  const has = (role: (typeof env.WORKER_ROLES)[number]) => env.WORKER_ROLES.includes(role);
  const metrics = new Metrics(env.PROCESS_NAME ?? 'booking-worker');
  const changes = metrics.counter('persist_changes_total', 'Log entries stored');
  const deadChanges = metrics.counter(
    'persist_dead_changes_total',
    'Changes that could not be stored and were put aside',
  );
  const swept = metrics.counter('sweep_holds_total', 'Holds that ended because their time was over');
  const stores = openStores(env, {
    log,
    seen: (id) => relay.seen(id),
    onWritten: (written, dead) => {
      changes.inc(written);
      deadChanges.inc(dead);
    },
  });
  const { redis, subscriber, scripts, persister, recovery } = stores;
  const queueProducer = connectRedis(env.QUEUE_REDIS_URL, 'producer', log);
  const queueConnection = connectRedis(env.QUEUE_REDIS_URL, 'worker', log);
  const catalog = new Catalog(stores.catalogRepo, log);
  const concertIds = function* (): Generator<ConcertId> {
    for (const { id } of catalog.all()) yield id;
  };

  const queue = openQueue('persist', queueProducer);
  const relay = new Relay({ redis, subscriber, queue, concertIds, log });
  metrics.gauge('relay_backlog_changes', 'Changes seen but not known to be stored', [], (gauge) =>
    gauge.set(relay.backlog),
  );
  const recoverNow = recoverEachOnce(recovery, catalog, log);

  await catalog.start();
  const stopSweeper = has('sweep')
    ? startSweeper({
        scripts,
        concertIds,
        log,
        onRecovering: (id) => has('recovery') && recoverNow(id),
        onEnded: (holds) => swept.inc(holds),
      })
    : () => {};
  if (has('relay')) relay.start();
  const worker = has('persist')
    ? startPersistWorker({ persister, redis, queueConnection, log, concurrency: env.PERSIST_CONCURRENCY })
    : null;
  const ops = createOpsServer({
    log,
    metrics,
    serviceTokenSecret: env.SERVICE_TOKEN_SECRET,
    dependencies: { ...stores.dependencies, queue: () => queueProducer.ping() },
  });
  await ops.listen(env.HOST, env.OPS_PORT);
  log.info({ roles: env.WORKER_ROLES, opsPort: env.OPS_PORT }, 'booking worker runs');

  return async () => {
    relay.stop();
    stopSweeper();
    catalog.stop();
    // Waits for the jobs in hand; what was not begun stays in the queue. Without its Redis a worker would wait for ever:
    // another one takes up its job.
    await Promise.race([worker?.close(), new Promise((resolve) => setTimeout(resolve, 3_000))]);
    await queue.close();
    await ops.drain(1_000);
    queueProducer.disconnect();
    queueConnection.disconnect();
    await stores.close();
  };
}

/** Starts a recovery unless one of this concert runs already; a failure is said and tried again when it is noticed again. */
function recoverEachOnce(recovery: Recovery, catalog: Catalog, log: Logger): (concertId: ConcertId) => void {
  const running = new Set<ConcertId>();
  return (concertId) => {
    const concert = catalog.get(concertId);
    if (concert === undefined || running.has(concertId)) return;
    running.add(concertId);
    recovery
      .recover(concert)
      .catch((error: unknown) => log.error({ err: error, concertId }, 'a recovery failed'))
      .finally(() => running.delete(concertId));
  };
}
