import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  type Merchant,
  newChargeBody,
  startMerchant,
  testApiKey,
  testLedgerFile,
  testWebhookSecret,
} from './testing.ts';

const ledger = testLedgerFile();
let merchant: Merchant;
let [port, opsPort] = [0, 0];
let child: ChildProcess | undefined;

beforeAll(async () => {
  merchant = await startMerchant();
  [port, opsPort] = [await freePort(), await freePort()];
});
afterAll(() => {
  child?.kill('SIGKILL');
  merchant?.stop();
  ledger.remove();
});

function start(changes: Record<string, string> = {}): ChildProcess {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const env = {
    PATH: process.env.PATH ?? '',
    NODE_ENV: 'test',
    PORT: String(port),
    OPS_PORT: String(opsPort),
    SERVICE_TOKEN_SECRET: 'a-service-token-secret-of-32-characters',
    SANDBOX_API_KEY: testApiKey,
    SANDBOX_WEBHOOK_SECRET: testWebhookSecret,
    SANDBOX_WEBHOOK_URL: merchant.url,
    SANDBOX_LEDGER_FILE: ledger.file,
    ...changes,
  };
  child = spawn(process.execPath, ['--import', 'tsx', main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  return child;
}

const ready = () =>
  vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${opsPort}/health/ready`)).status).toBe(200), {
    timeout: 20_000,
    interval: 50,
  });
const headers = { authorization: `Bearer ${testApiKey}`, 'content-type': 'application/json' };

test('what was answered survives kill -9, and a pending charge ends in the next life', async () => {
  const first = start();
  await ready();
  const bodies = Array.from({ length: 50 }, (_, n) => newChargeBody(n === 0 ? 'pm_late_5s' : 'pm_ok'));
  const charges = await Promise.all(
    bodies.map(async (body) => {
      const reply = await fetch(`http://127.0.0.1:${port}/v1/charges`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return (await reply.json()) as { id: string };
    }),
  );
  first.kill('SIGKILL');
  await once(first, 'exit');

  const second = start();
  await ready();
  const page = await fetch(`http://127.0.0.1:${port}/v1/ledger?concertId=7&limit=1000`, { headers });
  const { items } = (await page.json()) as { items: { id: string }[] };
  expect(items.map(({ id }) => id).sort()).toEqual(charges.map(({ id }) => id).sort());
  const key = bodies[0]?.key ?? '';
  await vi.waitFor(() => expect(merchant.of(key).map(({ event }) => event.type)).toContain('charge.succeeded'), {
    timeout: 25_000,
  });

  second.kill('SIGTERM');
  const [code] = await once(second, 'exit');
  expect(code).toBe(0);
}, 60_000);

test('a wrong environment names every fault and stops the start', async () => {
  const process_ = start({ PORT: 'x', SANDBOX_API_KEY: 'short', SANDBOX_WEBHOOK_URL: 'ftp://x' });
  let said = '';
  process_.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(process_, 'exit');
  expect(code).toBe(1);
  for (const name of ['PORT', 'SANDBOX_API_KEY', 'SANDBOX_WEBHOOK_URL']) expect(said).toContain(`  ${name}: `);
});
