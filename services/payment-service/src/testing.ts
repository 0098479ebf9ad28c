import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LedgerItem, ledgerReply } from '@frontrow/shared/contracts/provider.ts';
import { createTokenVerifier } from '@frontrow/shared/http/auth.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { openShards } from '@frontrow/shared/mysql/pool.ts';
import { openQueue, openWorker } from '@frontrow/shared/queue/queue.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import { createApiClient } from '@frontrow/shared/testing/api-client.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { makeTestKeys } from '@frontrow/shared/testing/tokens.ts';
import { apiDocument, apiRoutes } from './api.ts';
import { createBookingClient } from './booking/booking.client.ts';
import { startTestBooking } from './booking/testing.ts';
import { type DriveDeps, drive } from './payment/payment.drive.ts';
import { createDriveHandler, createEnqueue } from './payment/payment.job.ts';
import { createPaymentRepo } from './payment/payment.repo.ts';
import { createSandboxProvider } from './provider/sandbox.ts';
import { createReset } from './reset/reset.repo.ts';
import { createWebhookRepo } from './webhook/webhook.repo.ts';

export const serviceTokenSecret = 'service-token-secret-of-32-characters';
export const idSecret = 'hold-id-secret-of-at-least-32-characters';
export const sandboxApiKey = 'sandbox-api-key-of-at-least-32-characters';
export const webhookSecret = 'sandbox-webhook-secret-of-32-characters';
const providerTimeoutMs = 500;

export type World = Awaited<ReturnType<typeof startWorld>>;

/**
 * payment-service with everything real around it but booking-service, which is a double behind the real contract: its API over
 * HTTP, MariaDB, Redis, and the sandbox provider in a process of its own.
 * @param servers the URLs of the test's own MariaDB shards and Redis.
 */
export async function startWorld(servers: { paymentShardUrls: readonly string[]; redisUrl: string }) {
  const log = createLogger('test', 'fatal');
  const keys = makeTestKeys();
  const shards = openShards(servers.paymentShardUrls);
  const redis = connectRedis(servers.redisUrl, 'producer', log);
  await whenReady(redis);
  const queue = openQueue('payments', redis);
  const [apiPort, sandboxPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${apiPort}`;
  const booking = await startTestBooking(serviceTokenSecret);
  const sandbox = await startSandboxProcess(sandboxPort, `${url}/api/webhooks/sandbox`);
  const provider = createSandboxProvider({
    url: sandbox.url,
    apiKey: sandboxApiKey,
    webhookSecret,
    timeoutMs: providerTimeoutMs,
  });
  const payments = createPaymentRepo(shards);
  const events = createWebhookRepo(shards);
  const enqueue = createEnqueue(queue);
  const counted: string[] = [];
  const deps: DriveDeps = {
    payments,
    provider,
    booking: createBookingClient(booking.url, serviceTokenSecret),
    log,
    now: Date.now,
    count: (event) => counted.push(event),
  };
  const start = {
    payments,
    booking: deps.booking,
    enqueue: (paymentId: string) => enqueue({ paymentId }),
    idSecret,
    log,
  };
  const server = new HttpServer({
    routes: apiRoutes({
      payments,
      start,
      webhooks: {
        providers: [provider],
        events,
        ring: enqueue,
        now: Date.now,
        log,
        count: (_, one) => counted.push(one),
      },
      deleteConcert: createReset(shards),
    }),
    log,
    metrics: new Metrics('test'),
    serviceTokenSecret,
    verifyToken: createTokenVerifier(keys.jwksFile),
  });
  await server.listen('127.0.0.1', apiPort);
  const api = createApiClient(url, apiDocument().getSpec());

  return {
    url,
    api,
    keys,
    shards,
    queue,
    booking,
    sandbox,
    payments,
    events,
    deps,
    start,
    enqueue,
    /** What was counted: moves that were won, outcomes of webhooks. */
    counted,
    token: (userId: string) => keys.token(userId),
    startWorker: async () => {
      const connection = connectRedis(servers.redisUrl, 'worker', log);
      const handler = createDriveHandler({
        drive: (paymentId, attempt) => drive(deps, paymentId, attempt),
        eventProcessed: events.processed,
        log,
      });
      const worker = openWorker('payments', connection, { concurrency: 16, log }, handler);
      return {
        stop: async () => {
          await worker.close();
          connection.disconnect();
        },
      };
    },
    stop: async () => {
      await server.drain(1_000);
      await sandbox.stop();
      await booking.stop();
      await queue.close();
      redis.disconnect();
      await shards.close();
      keys.remove();
    },
  };
}

async function startSandboxProcess(port: number, webhookUrl: string) {
  const folder = mkdtempSync(join(tmpdir(), 'frontrow-test-payment-'));
  const url = `http://127.0.0.1:${port}`;
  const authorization = `Bearer ${sandboxApiKey}`;
  const child = spawn(process.execPath, ['--import', 'tsx', sandboxMain], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      LOG_LEVEL: 'fatal',
      PORT: String(port),
      OPS_PORT: String(await freePort()),
      SERVICE_TOKEN_SECRET: serviceTokenSecret,
      SANDBOX_API_KEY: sandboxApiKey,
      SANDBOX_WEBHOOK_SECRET: webhookSecret,
      SANDBOX_WEBHOOK_URL: webhookUrl,
      SANDBOX_LEDGER_FILE: join(folder, 'ledger.jsonl'),
    },
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  await until(async () => (await fetch(`${url}/v1/ledger`, { headers: { authorization } })).ok, 20_000);
  const ledger = async (): Promise<LedgerItem[]> => {
    const items: LedgerItem[] = [];
    for (let cursor = '0'; ; ) {
      const reply = await fetch(`${url}/v1/ledger?limit=1000&cursor=${cursor}`, { headers: { authorization } });
      const page = ledgerReply.parse(await reply.json());
      items.push(...page.items);
      if (page.nextCursor === null) return items;
      cursor = page.nextCursor;
    }
  };
  return {
    url,
    /** Every charge of this payment, with its refunds. */
    chargesOf: async (paymentId: string) =>
      (await ledger()).filter((charge) => charge.metadata.paymentId === paymentId),
    /** A charge that payment-service did not ask for. */
    charge: async (body: object) => {
      const headers = { authorization, 'content-type': 'application/json' };
      return fetch(`${url}/v1/charges`, { method: 'POST', headers, body: JSON.stringify(body) });
    },
    stop: async () => {
      process.off('exit', kill);
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const sandboxMain = fileURLToPath(new URL('../../sandbox-provider/src/main.ts', import.meta.url));

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Looks until it is true; a rejection counts as not yet. */
export async function until(isTrue: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await Promise.resolve()
      .then(isTrue)
      .catch(() => false);
    if (answer) return;
    if (Date.now() > deadline) throw new Error(`It did not come true within ${withinMs} ms: ${isTrue.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const newKey = (): string => randomBytes(9).toString('base64url');
