import { createHmac } from 'node:crypto';
import type { WebhookEvent } from '@frontrow/shared/contracts/provider.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { afterEach, expect, test } from 'vitest';
import { type Merchant, newChargeBody, startMerchant } from '../testing.ts';
import { signWebhook, WebhookSender } from './webhook.ts';

const secret = 'a-webhook-secret-of-32-characters-or-more';
const log = createLogger('test', 'fatal');
let merchant: Merchant | undefined;
afterEach(() => merchant?.stop());

function newEvent(): WebhookEvent {
  const now = new Date().toISOString();
  const charge = {
    ...newChargeBody('pm_ok'),
    id: `ch_${'a'.repeat(24)}`,
    status: 'succeeded' as const,
    createdAt: now,
  };
  return { id: `evt_${'b'.repeat(24)}`, type: 'charge.succeeded', createdAt: now, data: { charge } };
}

test('the signature is the HMAC of time and body', () => {
  const mac = createHmac('sha256', 'k').update('1700000000.{"a":1}').digest('hex');
  expect(signWebhook('k', '{"a":1}', 1_700_000_000)).toBe(`t=1700000000,v1=${mac}`);
});

test('an event is delivered with a fresh signature of its bytes', async () => {
  merchant = await startMerchant();
  const event = newEvent();
  expect(await new WebhookSender({ url: merchant.url, secret, log }).send(event)).toBe(true);
  const [one] = merchant.received;
  const seconds = Number(/^t=(\d+),v1=[0-9a-f]{64}$/.exec(one?.signature ?? '')?.[1]);
  expect(Math.abs(Date.now() / 1_000 - seconds)).toBeLessThan(5);
  expect(one?.signature).toBe(signWebhook(secret, one?.rawBody ?? '', seconds));
  expect(one?.event).toEqual(event);
});

test('what is not answered with 2xx is sent again under the same event id', async () => {
  merchant = await startMerchant((_, index) => [500, 302, 200][index] ?? 200);
  const sender = new WebhookSender({ url: merchant.url, secret, log, backoffMs: [5, 5, 5] });
  expect(await sender.send(newEvent())).toBe(true);
  expect(merchant.received.map(({ event }) => event.id)).toEqual(Array(3).fill(newEvent().id));
});

test('a bounded number of times, also when nobody listens', async () => {
  merchant = await startMerchant(() => 500);
  expect(await new WebhookSender({ url: merchant.url, secret, log, backoffMs: [5, 5] }).send(newEvent())).toBe(false);
  expect(merchant.received).toHaveLength(3);
  const url = `http://127.0.0.1:${await freePort()}/`;
  expect(await new WebhookSender({ url, secret, log, backoffMs: [5] }).send(newEvent())).toBe(false);
});

test('many at once all arrive', async () => {
  merchant = await startMerchant();
  const sender = new WebhookSender({ url: merchant.url, secret, log });
  const results = await Promise.all(Array.from({ length: 200 }, () => sender.send(newEvent())));
  expect(results.every(Boolean)).toBe(true);
  expect(merchant.received).toHaveLength(200);
});

test('a stop ends the waits', async () => {
  merchant = await startMerchant(() => 500);
  const sender = new WebhookSender({ url: merchant.url, secret, log, backoffMs: [60_000] });
  const sending = sender.send(newEvent());
  await expect.poll(() => merchant?.received.length).toBe(1);
  sender.stop();
  expect(await sending).toBe(false);
});
