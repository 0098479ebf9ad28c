import { createServer, type Server } from 'node:http';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PaymentProvider } from './provider.ts';
import { createSandboxProvider } from './sandbox.ts';

type Given = { status: number; body: unknown } | 'nothing' | 'hang up';

/** A provider that answers whatever the test wants, or nothing. */
let server: Server;
let provider: PaymentProvider;
let answer: Given = 'nothing';

beforeAll(async () => {
  server = createServer((request, response) => {
    if (answer === 'hang up') request.destroy();
    else if (answer !== 'nothing') response.writeHead(answer.status).end(JSON.stringify(answer.body));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  provider = createSandboxProvider({
    url: `http://127.0.0.1:${port}`,
    apiKey: 'k',
    webhookSecret: 's',
    timeoutMs: 100,
  });
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const about = {
  concertId: 7,
  paymentId: '00000007-0000-8000-8000-000000000001',
  bookingId: '00000007-0000-8000-8000-000000000002',
};
const charge = () => provider.charge({ key: 'k:1', amountMinor: 5, currency: 'IDR', paymentMethod: 'pm_ok', about });
const chargeBody = (status: string, more: object = {}) => ({
  id: `ch_${'0'.repeat(24)}`,
  key: 'k:1',
  status,
  amountMinor: 5,
  currency: 'IDR',
  paymentMethod: 'pm_ok',
  metadata: about,
  createdAt: '2026-01-01T00:00:00Z',
  ...more,
});
const chargeId = `ch_${'0'.repeat(24)}`;
const problem = (code: string) => ({
  type: '',
  title: '',
  status: 422,
  code,
  detail: 'why',
  requestId: '',
  retryable: false,
});

test.each<{ given: Given; expected: object }>([
  { given: 'nothing', expected: { answer: 'silent' } },
  { given: 'hang up', expected: { answer: 'silent' } },
  { given: { status: 500, body: {} }, expected: { answer: 'silent' } },
  { given: { status: 429, body: {} }, expected: { answer: 'silent' } },
  { given: { status: 404, body: problem('not_found') }, expected: { answer: 'unknown' } },
  {
    given: { status: 422, body: problem('odd') },
    expected: { answer: 'refused', failure: { code: 'odd', detail: 'why' } },
  },
  { given: { status: 400, body: 'what?' }, expected: { answer: 'refused', failure: { code: 'refused' } } },
  {
    given: { status: 200, body: chargeBody('succeeded') },
    expected: { answer: 'succeeded', chargeId, amountMinor: 5 },
  },
  { given: { status: 200, body: chargeBody('pending') }, expected: { answer: 'pending', chargeId } },
  { given: { status: 200, body: chargeBody('voided', { paymentMethod: null }) }, expected: { answer: 'voided' } },
  {
    given: { status: 200, body: chargeBody('declined', { failure: { code: 'no', detail: 'money' } }) },
    expected: { answer: 'declined', failure: { code: 'no', detail: 'money' } },
  },
  {
    given: { status: 200, body: chargeBody('declined') },
    expected: { answer: 'declined', failure: { code: 'declined' } },
  },
])('$given is $expected', async ({ given, expected }) => {
  answer = given;
  expect(await charge()).toMatchObject(expected);
  expect(await provider.lookUp('k:1')).toMatchObject(expected);
  expect(await provider.void('k:1', about)).toMatchObject(expected);
});

test('a wrong key, and a reply that is no charge, are faults of ours: they are never taken for an answer', async () => {
  answer = { status: 401, body: {} };
  await expect(charge()).rejects.toThrow('does not accept our key');
  answer = { status: 200, body: { ok: true } };
  await expect(charge()).rejects.toThrow();
});

test('a refund is done, unanswered, or a fault', async () => {
  const refund = () => provider.refund({ key: 'refund:k:1', chargeId, amountMinor: 5 });
  answer = 'nothing';
  expect(await refund()).toEqual({ answer: 'silent' });
  answer = { status: 409, body: problem('refund_exceeds_charge') };
  await expect(refund()).rejects.toThrow('refund_exceeds_charge');
  const id = `re_${'1'.repeat(24)}`;
  const { amountMinor, currency, createdAt } = chargeBody('');
  answer = {
    status: 200,
    body: { id, key: 'refund:k:1', chargeId, status: 'succeeded', amountMinor, currency, createdAt },
  };
  expect(await refund()).toEqual({ answer: 'succeeded', refundId: id });
});
