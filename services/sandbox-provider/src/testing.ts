import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ChargeBody,
  type WebhookEvent,
  webhookEvent,
  webhookSignatureHeader,
} from '@frontrow/shared/contracts/provider.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { paymentIdOf, randomHoldId } from '@frontrow/shared/ids.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { type ApiClient, createApiClient } from '@frontrow/shared/testing/api-client.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { apiDocument, sandboxRoutes } from './api.ts';
import { Ledger } from './charge/ledger.ts';
import { Provider } from './charge/provider.ts';
import { WebhookSender } from './webhook/webhook.ts';

export const testApiKey = 'an-api-key-of-at-least-32-characters';
export const testWebhookSecret = 'a-webhook-secret-of-32-characters-or-more';

export interface Received {
  event: WebhookEvent;
  rawBody: string;
  signature: string;
  atMs: number;
}

/** A merchant's webhook address: keeps what comes and answers with what `statusOf` says. */
export async function startMerchant(statusOf: (received: Received, index: number) => number = () => 204) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const rawBody = Buffer.concat(chunks).toString('utf8');
      const signature = String(request.headers[webhookSignatureHeader]);
      const one = { event: webhookEvent.parse(JSON.parse(rawBody)), rawBody, signature, atMs: Date.now() };
      response.writeHead(statusOf(one, received.push(one) - 1)).end();
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    of: (key: string) => received.filter(({ event }) => event.data.charge.key === key),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
export type Merchant = Awaited<ReturnType<typeof startMerchant>>;

export interface TestSandbox {
  /** With the API key, unless `headers` say otherwise. */
  call: ApiClient['call'];
  url: string;
  stop(): Promise<void>;
}

/** The provider behind its real HTTP server. Waits of payment methods are shortened by `timeFactor`. */
export async function startSandbox(options: {
  webhookUrl: string;
  ledgerFile: string;
  timeFactor?: number;
  mayClear?: boolean;
}): Promise<TestSandbox> {
  const log = createLogger('test', 'fatal');
  const ledger = await Ledger.open(options.ledgerFile);
  const sender = new WebhookSender({
    url: options.webhookUrl,
    secret: testWebhookSecret,
    log,
    backoffMs: [20, 20, 20],
  });
  const provider = new Provider({
    ledger,
    send: (event) => sender.send(event),
    timeFactor: options.timeFactor ?? 0.1,
  });
  const server = new HttpServer({
    routes: sandboxRoutes({ provider, apiKey: testApiKey, mayClear: options.mayClear ?? true }),
    log,
    metrics: new Metrics('test'),
    serviceTokenSecret: 'a-service-token-secret-of-32-characters',
  });
  const port = await freePort();
  await server.listen('127.0.0.1', port);
  const url = `http://127.0.0.1:${port}`;
  const api = createApiClient(url, apiDocument().getSpec());
  return {
    url,
    call: (method, path, given = {}) =>
      api.call(method, path, { ...given, headers: { authorization: `Bearer ${testApiKey}`, ...given.headers } }),
    stop: async () => {
      provider.stop();
      sender.stop();
      await server.drain(2_000);
      await ledger.close();
    },
  };
}

export function testLedgerFile() {
  const folder = mkdtempSync(join(tmpdir(), 'frontrow-test-sandbox-'));
  return { file: join(folder, 'ledger.jsonl'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A charge of a new booking; its key is the one that a payment's first attempt has. */
export function newChargeBody(paymentMethod: string, concertId = 7): ChargeBody {
  const bookingId = randomHoldId(concertId);
  const paymentId = paymentIdOf('secret', bookingId);
  const metadata = { concertId, bookingId, paymentId };
  return { key: `${paymentId}:1`, amountMinor: 750_000, currency: 'IDR', paymentMethod, metadata };
}
