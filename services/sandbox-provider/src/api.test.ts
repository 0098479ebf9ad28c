import type { Charge, ChargeBody, Refund } from '@frontrow/shared/contracts/provider.ts';
import { chargeReply, ledgerReply, paymentMethodsReply, refundReply } from '@frontrow/shared/contracts/provider.ts';
import { undocumented } from '@frontrow/shared/testing/documented.ts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { apiDocument, sandboxRoutes } from './api.ts';
import { Ledger } from './charge/ledger.ts';
import { Provider } from './charge/provider.ts';
import {
  type Merchant,
  newChargeBody,
  startMerchant,
  startSandbox,
  type TestSandbox,
  testLedgerFile,
} from './testing.ts';

const ledger = testLedgerFile();
let merchant: Merchant;
let sandbox: TestSandbox;

beforeAll(async () => {
  merchant = await startMerchant();
  sandbox = await startSandbox({ webhookUrl: merchant.url, ledgerFile: ledger.file });
});
afterAll(async () => {
  await sandbox?.stop();
  merchant?.stop();
  ledger.remove();
});

const at = ({ key }: ChargeBody) => `/v1/charges/${encodeURIComponent(key)}`;
const send = (body: unknown, signal?: AbortSignal) =>
  sandbox.call('POST', '/v1/charges', { body, ...(signal && { signal }) });
const find = (body: ChargeBody) => sandbox.call('GET', at(body));
const voidIt = (body: ChargeBody) => sandbox.call('POST', `${at(body)}/void`, { body: { metadata: body.metadata } });
const failure = (status: number, code: string) => ({ status, body: expect.objectContaining({ code }) });

async function charge(body: ChargeBody): Promise<Charge> {
  const reply = await send(body);
  expect(reply.status).toBe(200);
  return chargeReply.parse(reply.body);
}
/** The types of the webhooks of a charge, as soon as there are so many. */
async function webhooks(body: ChargeBody, count: number): Promise<string[]> {
  await vi.waitFor(() => expect(merchant.of(body.key)).toHaveLength(count), { timeout: 5_000 });
  return merchant.of(body.key).map(({ event }) => event.type);
}
const becomes = (body: ChargeBody, status: string) =>
  vi.waitFor(async () => expect((await find(body)).body).toMatchObject({ status }), { timeout: 5_000 });

test('every route is in the document, and the document lists every payment method', async () => {
  const opened = await Ledger.open(`${ledger.file}.other`);
  const provider = new Provider({ ledger: opened, send: async () => true });
  expect(undocumented(sandboxRoutes({ provider, apiKey: '', mayClear: true }), apiDocument().getSpec())).toEqual([]);
  await opened.close();
  const { items } = paymentMethodsReply.parse((await sandbox.call('GET', '/v1/payment-methods')).body);
  const { description } = apiDocument().getSpec().info;
  for (const { paymentMethod } of items) expect(description).toContain(`\`${paymentMethod}\``);
});

describe('payment methods', () => {
  test('pm_ok succeeds at once', async () => {
    const body = newChargeBody('pm_ok');
    const made = await charge(body);
    expect(made).toMatchObject({ ...body, status: 'succeeded' });
    expect(made).not.toHaveProperty('failure');
    expect((await find(body)).body).toEqual(made);
    expect(await webhooks(body, 1)).toEqual(['charge.succeeded']);
    expect(merchant.of(body.key)[0]?.event.data.charge).toEqual(made);
  });

  test.each([
    ['pm_declined', 'insufficient_funds'],
    ['pm_nonsense', 'unknown_payment_method'],
    ['pm_late_0s', 'unknown_payment_method'],
    ['pm_late_121s', 'unknown_payment_method'],
    ['constructor', 'unknown_payment_method'],
  ])('%s is declined: %s', async (method, code) => {
    const body = newChargeBody(method);
    expect(await charge(body)).toMatchObject({ status: 'declined', failure: { code, detail: expect.any(String) } });
    expect(await webhooks(body, 1)).toEqual(['charge.declined']);
  });

  test('pm_slow answers when it is decided; a repeat meanwhile waits too', async () => {
    const body = newChargeBody('pm_slow');
    const start = Date.now();
    const [first, second] = await Promise.all([charge(body), charge(body)]);
    expect(Date.now() - start).toBeGreaterThanOrEqual(290);
    expect(first.status).toBe('succeeded');
    expect(second).toEqual(first);
  });

  test('pm_timeout is captured, but its reply never comes; a repeat gets it', async () => {
    const body = newChargeBody('pm_timeout');
    await expect(send(body, AbortSignal.timeout(300))).rejects.toThrow(/abort|timeout/i);
    expect((await find(body)).body).toMatchObject({ status: 'succeeded' });
    expect((await charge(body)).status).toBe('succeeded');
    expect(await webhooks(body, 1)).toEqual(['charge.succeeded']);
  });

  test('pm_timeout_unknown leaves nothing the first time and succeeds the second', async () => {
    const body = newChargeBody('pm_timeout_unknown');
    await expect(send(body, AbortSignal.timeout(300))).rejects.toThrow(/abort|timeout/i);
    expect(await find(body)).toMatchObject(failure(404, 'not_found'));
    expect((await charge(body)).status).toBe('succeeded');
    expect((await charge(body)).status).toBe('succeeded');
  });

  test.each(['pm_pending', 'pm_late_1s'])('%s is pending and then succeeds', async (method) => {
    const body = newChargeBody(method);
    expect((await charge(body)).status).toBe('pending');
    await becomes(body, 'succeeded');
    expect(await webhooks(body, 2)).toEqual(['charge.pending', 'charge.succeeded']);
  });

  test('pm_pending_declined is pending and then declined', async () => {
    const body = newChargeBody('pm_pending_declined');
    expect((await charge(body)).status).toBe('pending');
    await becomes(body, 'declined');
    expect((await find(body)).body).toMatchObject({ failure: { code: 'insufficient_funds' } });
    expect(await webhooks(body, 2)).toEqual(['charge.pending', 'charge.declined']);
  });

  test('pm_duplicate sends its webhook twice under one id', async () => {
    const body = newChargeBody('pm_duplicate');
    await charge(body);
    expect(await webhooks(body, 2)).toEqual(['charge.succeeded', 'charge.succeeded']);
    expect(new Set(merchant.of(body.key).map(({ event }) => event.id)).size).toBe(1);
  });

  test('pm_reordered sends success before pending', async () => {
    const body = newChargeBody('pm_reordered');
    expect((await charge(body)).status).toBe('pending');
    expect(await webhooks(body, 2)).toEqual(['charge.succeeded', 'charge.pending']);
    expect(merchant.of(body.key)[1]?.event.data.charge.status).toBe('pending');
  });

  test('pm_webhook_late succeeds at once and rings later', async () => {
    const body = newChargeBody('pm_webhook_late');
    const start = Date.now();
    expect((await charge(body)).status).toBe('succeeded');
    expect(await webhooks(body, 1)).toEqual(['charge.succeeded']);
    expect((merchant.of(body.key)[0]?.atMs ?? 0) - start).toBeGreaterThanOrEqual(990);
  });
});

describe('a key', () => {
  test('has one charge, also for many at once', async () => {
    const body = newChargeBody('pm_ok');
    const charges = await Promise.all(Array.from({ length: 20 }, () => charge(body)));
    expect(new Set(charges.map(({ id }) => id)).size).toBe(1);
    expect(await webhooks(body, 1)).toHaveLength(1);
  });

  test.each<[string, Partial<ChargeBody>]>([
    ['amount', { amountMinor: 1 }],
    ['currency', { currency: 'USD' }],
    ['method', { paymentMethod: 'pm_declined' }],
    ['metadata', { metadata: newChargeBody('pm_ok').metadata }],
  ])('with another %s is refused', async (_, changes) => {
    const body = newChargeBody('pm_ok');
    const made = await charge(body);
    expect(await send({ ...body, ...changes })).toMatchObject(failure(409, 'idempotency_key_reused'));
    expect((await find(body)).body).toEqual(made);
  });
});

describe('void', () => {
  test('a key that was never seen is closed for later charges', async () => {
    const body = newChargeBody('pm_ok');
    expect(await find(body)).toMatchObject(failure(404, 'not_found'));
    const voided = await voidIt(body);
    expect(voided.body).toMatchObject({ status: 'voided', amountMinor: 0, paymentMethod: null });
    expect((await charge(body)).status).toBe('voided');
    expect((await voidIt(body)).body).toEqual(voided.body);
    expect(merchant.of(body.key)).toEqual([]);
  });

  test('a pending charge is voided, stays so, and wakes who waits for it', async () => {
    for (const method of ['pm_pending', 'pm_slow']) {
      const body = newChargeBody(method);
      const waiting = charge(body);
      await becomes(body, 'pending');
      expect((await voidIt(body)).body).toMatchObject({ status: 'voided', amountMinor: body.amountMinor });
      expect(['pending', 'voided']).toContain((await waiting).status);
      expect((await charge(body)).status).toBe('voided');
    }
    // Both would have been decided by now: a charge that was made later is.
    const later = newChargeBody('pm_slow');
    await charge(later);
    expect(merchant.received.filter(({ event }) => event.data.charge.status === 'voided')).toEqual([]);
  });

  test.each([
    ['pm_ok', 'succeeded'],
    ['pm_declined', 'declined'],
  ])('comes too late for %s', async (method, status) => {
    const body = newChargeBody(method);
    const made = await charge(body);
    expect(made.status).toBe(status);
    expect((await voidIt(body)).body).toEqual(made);
  });

  test('races with its charge: both requests hear the same end', async () => {
    for (let round = 0; round < 20; round += 1) {
      const body = newChargeBody('pm_ok');
      const both = round % 2 === 0 ? [send(body), voidIt(body)] : [voidIt(body), send(body)];
      const [first, second] = await Promise.all(both);
      expect(first?.body).toEqual(second?.body);
      expect((await find(body)).body).toEqual(first?.body);
    }
  });
});

describe('refunds', () => {
  const ask = (key: string, chargeId: string, amountMinor: number) =>
    sandbox.call('POST', '/v1/refunds', { body: { key, chargeId, amountMinor } });

  test('are made once per key', async () => {
    const body = newChargeBody('pm_ok');
    const { id } = await charge(body);
    const key = `refund:${body.metadata.paymentId}:1`;
    expect(await sandbox.call('GET', `/v1/refunds/${encodeURIComponent(key)}`)).toMatchObject(
      failure(404, 'not_found'),
    );
    const replies = await Promise.all(Array.from({ length: 10 }, () => ask(key, id, 750_000)));
    const refunds: Refund[] = replies.map((reply) => refundReply.parse(reply.body));
    expect(new Set(refunds.map((refund) => refund.id)).size).toBe(1);
    expect((await sandbox.call('GET', `/v1/refunds/${encodeURIComponent(key)}`)).body).toEqual(refunds[0]);
    expect(await webhooks(body, 2)).toContain('refund.succeeded');
    expect(await ask(key, id, 1)).toMatchObject(failure(409, 'idempotency_key_reused'));
  });

  test('never exceed the charge, also when asked at once', async () => {
    const body = newChargeBody('pm_ok');
    const { id } = await charge(body);
    const replies = await Promise.all([1, 2, 3, 4].map((n) => ask(`refund:${id}:${n}`, id, 300_000)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 409, 409]);
    expect(replies).toContainEqual(expect.objectContaining(failure(409, 'refund_exceeds_charge')));
    expect((await ask(`refund:${id}:5`, id, 150_000)).status).toBe(200);
    expect((await ask(`refund:${id}:6`, id, 1)).status).toBe(409);
  });

  test('need captured money', async () => {
    const declined = await charge(newChargeBody('pm_declined'));
    expect(await ask(`refund:${declined.id}`, declined.id, 1)).toMatchObject(failure(409, 'charge_not_captured'));
    expect(await ask('refund:x', `ch_${'0'.repeat(24)}`, 1)).toMatchObject(failure(404, 'not_found'));
  });
});

describe('the ledger', () => {
  test('shows charges with their refunds, and is cleared by concert', async () => {
    const bodies = Array.from({ length: 3 }, () => newChargeBody('pm_ok', 99));
    const charges: Charge[] = [];
    for (const body of bodies) charges.push(await charge(body));
    const chargeId = charges[1]?.id;
    await sandbox.call('POST', '/v1/refunds', { body: { key: 'refund:99', chargeId, amountMinor: 5 } });
    const first = ledgerReply.parse((await sandbox.call('GET', '/v1/ledger?concertId=99&limit=2')).body);
    expect(first.items.map(({ id, refunds }) => [id, refunds.length])).toEqual([
      [charges[0]?.id, 0],
      [charges[1]?.id, 1],
    ]);
    const next = await sandbox.call('GET', `/v1/ledger?concertId=99&limit=2&cursor=${first.nextCursor}`);
    expect(next.body).toMatchObject({ items: [{ id: charges[2]?.id }], nextCursor: null });

    const cleared = await sandbox.call('DELETE', '/v1/ledger?concertId=99');
    expect(cleared.body).toEqual({ concertId: 99, removed: 3 });
    expect((await sandbox.call('GET', '/v1/ledger?concertId=99')).body).toEqual({ items: [], nextCursor: null });
    expect((await sandbox.call('GET', '/v1/ledger?concertId=7&limit=1')).body).toMatchObject({ items: [{}] });
    expect(await sandbox.call('DELETE', '/v1/ledger')).toMatchObject(failure(400, 'invalid_request'));
  });

  test('takes up pending charges after a restart', async () => {
    const own = testLedgerFile();
    const options = { webhookUrl: merchant.url, ledgerFile: own.file };
    const before = await startSandbox({ ...options, timeFactor: 0.5 });
    const [soon, overdue] = [newChargeBody('pm_pending'), newChargeBody('pm_late_1s')];
    for (const body of [soon, overdue]) await before.call('POST', '/v1/charges', { body });
    await before.stop();
    const after = await startSandbox(options);
    await vi.waitFor(
      async () => {
        for (const body of [soon, overdue]) {
          expect((await after.call('GET', at(body))).body).toMatchObject({ status: 'succeeded' });
        }
      },
      { timeout: 5_000 },
    );
    expect(await webhooks(soon, 2)).toContain('charge.succeeded');
    await after.stop();
    own.remove();
  });

  test('is not cleared in production', async () => {
    const own = testLedgerFile();
    const strict = await startSandbox({ webhookUrl: merchant.url, ledgerFile: own.file, mayClear: false });
    expect(await strict.call('DELETE', '/v1/ledger?concertId=7')).toMatchObject(failure(403, 'forbidden'));
    await strict.stop();
    own.remove();
  });
});

describe('bad input', () => {
  test.each(['', 'Bearer ', 'Bearer wrong-key', 'Basic abc'])('the API key "%s" is refused', async (authorization) => {
    const headers = { authorization };
    const body = newChargeBody('pm_ok');
    expect(await sandbox.call('POST', '/v1/charges', { body, headers })).toMatchObject(failure(401, 'unauthenticated'));
    expect(await sandbox.call('GET', '/v1/ledger', { headers })).toMatchObject(failure(401, 'unauthenticated'));
    expect(await find(body)).toMatchObject(failure(404, 'not_found'));
  });

  test.each([
    ['no amount', { amountMinor: undefined }],
    ['a negative amount', { amountMinor: -1 }],
    ['a fraction', { amountMinor: 1.5 }],
    ['a currency in words', { currency: 'rupiah' }],
    ['a key with a slash', { key: 'a/b' }],
    ['an unknown member', { card: '4242' }],
  ])('%s is refused', async (_, changes) => {
    expect(await send({ ...newChargeBody('pm_ok'), ...changes })).toMatchObject(failure(400, 'invalid_request'));
  });
});
