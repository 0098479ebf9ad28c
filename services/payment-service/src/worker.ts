import { parseEnv } from '@frontrow/shared/env.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { openShards } from '@frontrow/shared/mysql/pool.ts';
import { openQueue, openWorker } from '@frontrow/shared/queue/queue.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import { createBookingClient } from './booking/booking.client.ts';
import { workerEnv } from './env.ts';
import { type DriveDeps, drive } from './payment/payment.drive.ts';
import { createDriveHandler, createEnqueue } from './payment/payment.job.ts';
import { createPaymentRepo } from './payment/payment.repo.ts';
import { unfinishedStatuses } from './payment/payment.ts';
import { createSandboxProvider } from './provider/sandbox.ts';
import { createReconciler, startReconciler } from './reconcile/reconcile.ts';
import { createWebhookRepo } from './webhook/webhook.repo.ts';

const log = createLogger(process.env.PROCESS_NAME || 'payment-worker', 'info');

runProcess(log, async () => {
  const env = parseEnv(workerEnv);
  log.level = env.LOG_LEVEL;
  const metrics = new Metrics(env.PROCESS_NAME ?? 'payment-worker');
  const moves = metrics.counter('payment_moves_total', 'Moves of payments by event; stray must stay 0', ['event']);
  const found = metrics.gauge('payments_reconciled', 'Payments and events that stood still at the last look');
  const shards = openShards(env.PAYMENT_SHARD_URLS, env.BUCKET_SHARDS);
  const producer = connectRedis(env.QUEUE_REDIS_URL, 'producer', log);
  const consumer = connectRedis(env.QUEUE_REDIS_URL, 'worker', log);
  await Promise.all([whenReady(producer), whenReady(consumer)]);
  const queue = openQueue('payments', producer);
  const enqueue = createEnqueue(queue);
  const deps: DriveDeps = {
    payments: createPaymentRepo(shards),
    provider: createSandboxProvider({
      url: env.SANDBOX_URL,
      apiKey: env.SANDBOX_API_KEY,
      webhookSecret: env.SANDBOX_WEBHOOK_SECRET,
      timeoutMs: env.PROVIDER_TIMEOUT_MS,
    }),
    booking: createBookingClient(env.BOOKING_INTERNAL_URL, env.SERVICE_TOKEN_SECRET),
    log,
    now: Date.now,
    count: (event) => moves.inc({ event }),
  };
  const events = createWebhookRepo(shards);
  const worker = openWorker(
    'payments',
    consumer,
    { concurrency: env.PAYMENT_DRIVES, log },
    createDriveHandler({
      drive: (paymentId, attempt) => drive(deps, paymentId, attempt),
      eventProcessed: events.processed,
      log,
    }),
  );
  const tick = createReconciler({
    shards: shards.all,
    statuses: unfinishedStatuses,
    enqueue: (request) => enqueue({ ...request, once: true }),
    count: (number) => found.set(number),
  });
  const reconciler = startReconciler(tick, log);
  const ops = createOpsServer({
    log,
    metrics,
    serviceTokenSecret: env.SERVICE_TOKEN_SECRET,
    dependencies: { mysql: () => Promise.all(shards.all.map((shard) => shard.ping())), queue: () => producer.ping() },
  });
  await ops.listen(env.HOST, env.OPS_PORT);
  log.info({ opsPort: env.OPS_PORT }, 'the payment worker is ready');

  return async () => {
    await reconciler.stop();
    // A drive may wait for the provider; one that is not done by then is taken up by another worker.
    await Promise.race([worker.close(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
    await ops.drain(1_000);
    await queue.close();
    producer.disconnect();
    consumer.disconnect();
    await shards.close();
  };
});
