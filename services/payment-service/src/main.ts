import { parseEnv } from '@frontrow/shared/env.ts';
import { createTokenVerifier } from '@frontrow/shared/http/auth.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { createOpsServer } from '@frontrow/shared/http/ops.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { runProcess } from '@frontrow/shared/lifecycle.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { openShards } from '@frontrow/shared/mysql/pool.ts';
import { openQueue } from '@frontrow/shared/queue/queue.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import { apiRoutes, documentOf } from './api.ts';
import { createBookingClient } from './booking/booking.client.ts';
import { mainEnv } from './env.ts';
import { createEnqueue } from './payment/payment.job.ts';
import { createPaymentRepo } from './payment/payment.repo.ts';
import { createSandboxProvider } from './provider/sandbox.ts';
import { createReset } from './reset/reset.repo.ts';
import { createWebhookRepo } from './webhook/webhook.repo.ts';

const log = createLogger(process.env.PROCESS_NAME || 'payment', 'info');

runProcess(log, async () => {
  const env = parseEnv(mainEnv);
  log.level = env.LOG_LEVEL;
  const metrics = new Metrics(env.PROCESS_NAME ?? 'payment');
  const webhooks = metrics.counter('webhooks_total', 'Webhooks by provider and outcome', ['provider', 'outcome']);
  const shards = openShards(env.PAYMENT_SHARD_URLS, env.BUCKET_SHARDS);
  const redis = connectRedis(env.QUEUE_REDIS_URL, 'producer', log);
  await whenReady(redis);
  const queue = openQueue('payments', redis);
  const enqueue = createEnqueue(queue);
  const payments = createPaymentRepo(shards);
  const provider = createSandboxProvider({
    url: env.SANDBOX_URL,
    apiKey: env.SANDBOX_API_KEY,
    webhookSecret: env.SANDBOX_WEBHOOK_SECRET,
    timeoutMs: env.PROVIDER_TIMEOUT_MS,
  });
  const routes = apiRoutes({
    payments,
    start: {
      payments,
      booking: createBookingClient(env.BOOKING_INTERNAL_URL, env.SERVICE_TOKEN_SECRET),
      enqueue: (paymentId) => enqueue({ paymentId }),
      idSecret: env.HOLD_ID_SECRET,
      log,
    },
    webhooks: {
      providers: [provider],
      events: createWebhookRepo(shards),
      ring: enqueue,
      now: Date.now,
      log,
      count: (name, outcome) => webhooks.inc({ provider: name, outcome }),
    },
    ...(env.NODE_ENV !== 'production' && { deleteConcert: createReset(shards) }),
  });
  const { SERVICE_TOKEN_SECRET: serviceTokenSecret } = env;
  const api = new HttpServer({
    routes,
    log,
    metrics,
    serviceTokenSecret,
    verifyToken: createTokenVerifier(env.JWKS_FILE),
  });
  const ops = createOpsServer({
    log,
    metrics,
    serviceTokenSecret,
    openApi: documentOf(routes),
    dependencies: { mysql: () => Promise.all(shards.all.map((shard) => shard.ping())), queue: () => redis.ping() },
  });
  await ops.listen(env.HOST, env.OPS_PORT);
  await api.listen(env.HOST, env.PORT);
  log.info({ port: env.PORT, opsPort: env.OPS_PORT }, 'payment-service is ready');

  return async () => {
    await api.drain(10_000);
    await ops.drain(1_000);
    await queue.close();
    redis.disconnect();
    await shards.close();
  };
});
