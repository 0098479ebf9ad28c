import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { holdReply } from '@frontrow/shared/contracts/hold.ts';
import { paymentReply } from '@frontrow/shared/contracts/payment.ts';
import { chargeReply, ledgerReply, webhookSignatureHeader } from '@frontrow/shared/contracts/provider.ts';
import { signServiceToken } from '@frontrow/shared/http/auth.ts';
import { paymentIdOf, randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { publicJwk } from '../stack/secrets.ts';
import { es256, hs256, part } from './forging.testing.ts';
import { bodyOf, codeOf, type Fan, startWorld, type TestConcert, until, type World } from './world.testing.ts';

let world: World;
let concert: TestConcert;
let holder: Fan;
/** Seats 0 and 1, held under the key `mine`. */
let hold: z.infer<typeof holdReply>;
let payer: Fan;
/** Seat 2, paid under the key `paid`. */
let payment: z.infer<typeof paymentReply>;
beforeAll(async () => {
  world = await startWorld({ without: ['origin'] });
  concert = await world.createConcert({ seatCount: 40 });
  [holder, payer] = [world.newFan(), world.newFan()];
  hold = await bodyOf(world.hold(concert, holder, concert.seats.slice(0, 2), { key: 'mine' }), 201, holdReply);
  const bought = await bodyOf(world.hold(concert, payer, concert.seats.slice(2, 3)), 201, holdReply);
  const started = await bodyOf(world.pay(payer, bought.id, 'pm_ok', 'paid'), 202, paymentReply);
  payment = await world.waitForPayment(payer, started.id, 'completed');
  // Its own webhook comes after its charge.
  await until(async () => {
    const events = await world.rowsOf('payment', 'webhook_events', concert);
    expect(events.map(({ processed_at }) => processed_at !== null)).toEqual([true]);
  });
  await world.untilStored(concert);
});
afterAll(() => world?.stop());

const sandboxCall = (path: string) =>
  world.api.sandbox.call('GET', path, { token: world.stack.secrets.values.sandboxApiKey });

/** Everything that a request could have done: the seat map, the rows, the charges. */
async function everything() {
  const tables = {
    booking: ['bookings', 'tickets', 'booking_tickets', 'log_cursor', 'dead_changes'],
    payment: ['payments', 'payment_attempts', 'refunds', 'webhook_events'],
  } as const;
  const rows = await Promise.all(
    (['booking', 'payment'] as const).flatMap((service) =>
      tables[service].map(async (table) => [table, await world.rowsOf(service, table, concert)] as const),
    ),
  );
  const ledger = await bodyOf(sandboxCall(`/v1/ledger?concertId=${concert.id}`), 200, ledgerReply);
  return { map: await world.seatMap(concert), ledger: ledger.items, ...Object.fromEntries(rows) };
}

describe('what is refused leaves nothing behind', () => {
  let before: Awaited<ReturnType<typeof everything>>;
  beforeEach(async () => {
    before = await everything();
  });
  afterEach(async () => {
    await world.untilStored(concert);
    expect(await everything()).toEqual(before);
  });

  const holdsUrl = () => `/api/concerts/${concert.id}/holds`;
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    world.api.booking.call('POST', holdsUrl(), { token: world.newFan().token, body, headers });

  test.each<[string, unknown]>([
    ['no object', ['A-1-5']],
    ['null', null],
    ['no seats', {}],
    ['text for seats', { seats: 'A-1-5' }],
    ['an object for seats', { seats: { 0: 'A-1-5' } }],
    ['an empty list', { seats: [] }],
    ['numbers for labels', { seats: [5] }],
    ['null among labels', { seats: ['A-1-5', null] }],
    ['an empty label', { seats: [''] }],
    ['a label that is too long', { seats: ['A'.repeat(33)] }],
    ['lists in the list', { seats: [['A-1-5']] }],
    ['a seat twice', { seats: ['A-1-5', 'A-1-5'] }],
    ['one seat more than a hold may have', { seats: Array.from({ length: 21 }, (_, seat) => `A-1-${seat + 5}`) }],
    ['10,000 seats', { seats: Array.from({ length: 10_000 }, (_, seat) => seat.toString(36)) }],
    ['a key that nobody knows', { seats: ['A-1-5'], userId: 'x' }],
    ['somebody else as the fan', { seats: ['A-1-5'], identity: { userId: 'x' } }],
  ])('a hold with %s', async (_, body) => {
    const reply = await post(body);
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: expect.any(Array) } });
  });

  test.each<[string, string | Uint8Array, number, string]>([
    ['cut off', '{"seats":["A-1-5"', 400, 'malformed_json'],
    ['empty', '', 400, 'malformed_json'],
    ['twice', '{"seats":["A-1-5"]}{"seats":["A-1-5"]}', 400, 'malformed_json'],
    ['in single quotes', "{'seats':['A-1-5']}", 400, 'malformed_json'],
    ['no UTF-8', Buffer.from('{"seats":["A-1-\xff"]}', 'latin1'), 400, 'malformed_json'],
    [
      '10,000 real labels',
      JSON.stringify({ seats: Array.from({ length: 10_000 }, (_, seat) => `A-1-${seat}`) }),
      413,
      'payload_too_large',
    ],
    ['1 MB', JSON.stringify({ seats: ['A-1-5'], more: 'x'.repeat(1024 * 1024) }), 413, 'payload_too_large'],
    ['nested 20,000 deep', `{"seats":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 400, 'invalid_request'],
  ])('a body that is %s', async (_, rawBody, status, code) => {
    const reply = await world.api.booking.call('POST', holdsUrl(), { token: world.newFan().token, rawBody });
    expect([reply.status, codeOf(reply)]).toEqual([status, code]);
  });

  test.each(['with space', 'a\tb', 'aüb', 'x'.repeat(129)])('the Idempotency-Key "%s"', async (key) => {
    const reply = await post({ seats: ['A-1-5'] }, { 'idempotency-key': key });
    const faults = [{ path: 'headers.idempotency-key' }];
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: faults } });
  });

  test.each<[string, string, number, string]>([
    ['GET', '/api/concerts/0/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/-1/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/1.5/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/1e3/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/0x10/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/2147483648/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/%00/seatmap', 400, 'invalid_id'],
    ['GET', '/api/concerts/%FF/seatmap', 400, 'invalid_id'],
    ['GET', "/api/concerts/1'OR'1/seatmap", 400, 'invalid_id'],
    ['GET', '/api/concerts/2147483647/seatmap', 404, 'not_found'],
    ['POST', '/api/concerts/2147483647/holds', 404, 'not_found'],
    ['GET', '/api/holds/1', 400, 'invalid_id'],
    ['GET', `/api/holds/${randomUUID()}`, 400, 'invalid_id'],
    ['GET', `/api/holds/${randomHoldId(2_147_483_647)}`, 404, 'not_found'],
    ['GET', `/api/holds/${randomHoldId(101)}`, 404, 'not_found'],
    ['DELETE', `/api/holds/${randomHoldId(101)}`, 404, 'not_found'],
    ['DELETE', `/api/holds/${randomHoldId(101).toUpperCase()}`, 400, 'invalid_id'],
    ['GET', `/api/bookings/${randomHoldId(101)}`, 404, 'not_found'],
    ['GET', '/api/bookings?cursor=nonsense', 400, 'invalid_request'],
    ['GET', '/api/bookings?limit=0', 400, 'invalid_request'],
  ])('%s %s', async (method, path, status, code) => {
    const body = method === 'POST' ? { seats: ['A-1-5'] } : undefined;
    const reply = await world.api.booking.call(method, path, { token: world.newFan().token, body });
    expect([reply.status, codeOf(reply)]).toEqual([status, code]);
  });

  describe('a token', () => {
    const good = () => {
      const now = Math.floor(Date.now() / 1_000);
      const claims = {
        sub: holder.userId,
        role: 'fan',
        iss: 'frontrow',
        aud: 'frontrow-api',
        iat: now,
        exp: now + 600,
      };
      const { privateKey, kid } = signingKey();
      return { header: { alg: 'ES256', typ: 'at+jwt', kid } as Record<string, unknown>, claims, privateKey };
    };
    const changed = (header: object, claims: object, key?: KeyObject): string => {
      const one = good();
      return es256({ ...one.header, ...header }, { ...one.claims, ...claims }, key ?? one.privateKey);
    };
    const tampered = (): string => {
      const [header, , signature] = changed({}, {}).split('.');
      return [header, part({ ...good().claims, role: 'admin' }), signature].join('.');
    };
    const strangersKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

    test('like the good ones, made by the same means as those below, is taken', async () => {
      const { status } = await world.api.booking.call('GET', `/api/holds/${hold.id}`, { token: changed({}, {}) });
      expect(status).toBe(200);
    });

    test.each<[string, () => string, string]>([
      ['that is nonsense', () => 'nonsense', 'unauthenticated'],
      [
        'with alg none and no signature',
        () => `${part({ ...good().header, alg: 'none' })}.${part(good().claims)}.`,
        'unauthenticated',
      ],
      ['with alg none and a signature', () => changed({ alg: 'none' }, {}), 'unauthenticated'],
      [
        'with HS256 and our public key as the secret',
        () => hs256({ ...good().header, alg: 'HS256' }, good().claims, publicPem()),
        'unauthenticated',
      ],
      ['with the key of somebody else', () => changed({}, {}, strangersKey), 'unauthenticated'],
      ['of an unknown key', () => changed({ kid: 'x' }, {}), 'unauthenticated'],
      ['of another type', () => changed({ typ: 'JWT' }, {}), 'unauthenticated'],
      ['for another audience', () => changed({}, { aud: 'somebody' }), 'unauthenticated'],
      ['from another issuer', () => changed({}, { iss: 'somebody' }), 'unauthenticated'],
      ['whose role was raised afterwards', tampered, 'unauthenticated'],
      ['with a role that there is not', () => changed({}, { role: 'root' }), 'unauthenticated'],
      ['of nobody', () => changed({}, { sub: 'x' }), 'unauthenticated'],
      ['that never expires', () => changed({}, { exp: undefined }), 'unauthenticated'],
      ['that has expired', () => changed({}, { exp: Math.floor(Date.now() / 1_000) - 1 }), 'token_expired'],
      ['of a service', () => world.serviceToken(), 'unauthenticated'],
    ])('%s opens nothing', async (_, make, code) => {
      const token = make();
      const { booking, payment: payments } = world.api;
      const body = { bookingId: hold.id, paymentMethod: 'pm_ok' };
      const replies = [
        await booking.call('POST', holdsUrl(), { token, body: { seats: ['A-1-5'] } }),
        await booking.call('GET', `/api/holds/${hold.id}`, { token }),
        await booking.call('DELETE', `/api/holds/${hold.id}`, { token }),
        await booking.call('GET', '/api/bookings', { token }),
        await payments.call('POST', '/api/payments', { token, body, headers: { 'idempotency-key': 'x' } }),
        await payments.call('GET', `/api/payments/${payment.id}`, { token }),
        await world.api.user.call('GET', `/api/users/${holder.userId}`, { token }),
      ];
      expect(replies.map((reply) => [reply.status, codeOf(reply)])).toEqual(replies.map(() => [401, code]));
    });

    test.each<[string, () => string]>([
      ['of an admin', () => world.newFan('admin').token],
      ['signed with another secret', () => signServiceToken('x'.repeat(43), 'payment-service')],
      [
        'of another type',
        () =>
          hs256(
            { alg: 'HS256', typ: 'JWT' },
            { aud: 'frontrow-internal', iss: 'x' },
            world.stack.secrets.values.serviceToken,
          ),
      ],
      [
        'that has expired',
        () =>
          hs256(
            { alg: 'HS256', typ: 'svc+jwt' },
            { aud: 'frontrow-internal', iss: 'x', exp: 1 },
            world.stack.secrets.values.serviceToken,
          ),
      ],
      [
        'without a signature',
        () => `${part({ alg: 'none', typ: 'svc+jwt' })}.${part({ aud: 'frontrow-internal', iss: 'x' })}.`,
      ],
    ])('%s does not open what is between the services', async (_, make) => {
      const token = make();
      const sale = { userId: holder.userId, seats: [0, 1], amountMinor: hold.totalMinor, currency: hold.currency };
      const replies = [
        await world.api.booking.call('POST', `/internal/holds/${hold.id}/settle`, { token, body: sale }),
        await world.api.booking.call('POST', `/internal/holds/${hold.id}/cancel`, { token, body: sale }),
        await world.api.booking.call('POST', `/internal/concerts/${concert.id}/reset`, { token, body: {} }),
        await world.api.payment.call('POST', `/internal/concerts/${concert.id}/reset`, { token }),
      ];
      expect(replies.map(codeOf)).toEqual(replies.map(() => 'unauthenticated'));
    });
  });

  test.each(['fan', 'admin'] as const)('what belongs to another user, to a %s', async (role) => {
    const { token } = world.newFan(role);
    const headers = { 'idempotency-key': 'paid' };
    const replies = [
      await world.api.booking.call('GET', `/api/holds/${hold.id}`, { token }),
      await world.api.booking.call('DELETE', `/api/holds/${hold.id}`, { token }),
      await world.api.booking.call('GET', `/api/bookings/${hold.id}`, { token }),
      await world.api.booking.call('GET', `/api/bookings/${payment.bookingId}`, { token }),
      await world.api.payment.call('GET', `/api/payments/${payment.id}`, { token }),
      await world.api.payment.call('POST', '/api/payments', {
        token,
        headers,
        body: { bookingId: hold.id, paymentMethod: 'pm_ok' },
      }),
      await world.api.payment.call('POST', '/api/payments', {
        token,
        headers,
        body: { bookingId: payment.bookingId, paymentMethod: 'pm_ok' },
      }),
    ];
    expect(replies.map((reply) => [reply.status, codeOf(reply)])).toEqual(replies.map(() => [404, 'not_found']));
  });

  test('a key that was used with another body; the same body gets the same answer', async () => {
    for (const seats of [
      concert.seats.slice(4, 5),
      concert.seats.slice(0, 1),
      [...concert.seats.slice(0, 2), ...concert.seats.slice(4, 5)],
    ]) {
      expect(codeOf(await world.hold(concert, holder, seats, { key: 'mine' }))).toBe('idempotency_key_reused');
    }
    const again = await world.hold(concert, holder, concert.seats.slice(0, 2).reverse(), { key: 'mine' });
    expect(again).toMatchObject({ status: 201, body: hold });

    expect(codeOf(await world.pay(payer, payment.bookingId, 'pm_declined', 'paid'))).toBe('idempotency_key_reused');
    const { attempt, ...first } = payment;
    const same = await world.pay(payer, payment.bookingId, 'pm_ok', 'paid');
    expect(same).toMatchObject({ status: 202, body: { ...first, attempt, status: 'pending' } });
  });

  test.each<[string, object]>([
    ['no booking', { paymentMethod: 'pm_ok' }],
    ['a number for the booking', { bookingId: 1, paymentMethod: 'pm_ok' }],
    ['a card number', { bookingId: randomHoldId(101), paymentMethod: '4242424242424242' }],
    ['a price', { bookingId: randomHoldId(101), paymentMethod: 'pm_ok', amountMinor: 1 }],
  ])('a payment with %s', async (_, body) => {
    const headers = { 'idempotency-key': 'x' };
    const reply = await world.api.payment.call('POST', '/api/payments', { token: holder.token, headers, body });
    expect([reply.status, codeOf(reply)]).toEqual([400, 'invalid_request']);
    const keyless = { token: holder.token, body: { bookingId: hold.id, paymentMethod: 'pm_ok' } };
    expect(codeOf(await world.api.payment.call('POST', '/api/payments', keyless))).toBe('invalid_request');
  });

  describe('a webhook', () => {
    /** The very event that the sandbox sent when the payment was made. */
    const original = async () => String((await world.rowsOf('payment', 'webhook_events', concert))[0]?.payload);

    test('that is replayed is taken as often as it comes, and does nothing', async () => {
      const body = await original();
      for (let time = 0; time < 3; time += 1) expect((await ring(body, sign(body))).status).toBe(200);
    });

    test('about a charge that is not ours is taken, and does nothing', async () => {
      const body = (await original()).replaceAll(`${payment.id}:1`, 'another-shop:1').replace(/evt_\w{4}/, 'evt_0000');
      expect((await ring(body, sign(body))).status).toBe(200);
    });

    test.each<[string, (body: string) => string]>([
      ['no signature', () => ''],
      ['nonsense for a signature', () => 'nonsense'],
      ['the signature of another body', () => sign('{}')],
      ['the signature of another secret', (body) => sign(body, { secret: 'x'.repeat(43) })],
      ['a cut signature', (body) => sign(body).slice(0, -2)],
      ['a signature that is too old', (body) => sign(body, { ageMs: limits.webhookToleranceMs + 2_000 })],
      ['a signature from the future', (body) => sign(body, { ageMs: -limits.webhookToleranceMs - 2_000 })],
      ['an old signature made young', (body) => sign(body, { ageMs: 400_000 }).replace(/t=\d+/, `t=${seconds()}`)],
    ])('with %s is refused', async (_, signatureOf) => {
      const body = await original();
      const reply = await ring(body, signatureOf(body));
      expect([reply.status, codeOf(reply)]).toEqual([401, 'unauthenticated']);
    });

    test.each<[string, string, number, string]>([
      ['is no JSON', '{"id":', 400, 'invalid_request'],
      ['is no event', '{}', 400, 'invalid_request'],
      ['is too large', JSON.stringify({ x: 'x'.repeat(limits.webhookBodyBytesMax) }), 413, 'payload_too_large'],
    ])('that %s is refused, signed or not', async (_, body, status, code) => {
      const reply = await ring(body, sign(body));
      expect([reply.status, codeOf(reply)]).toEqual([status, code]);
      expect((await ring(body, '')).status).toBe(status === 413 ? 413 : 401);
    });

    test('of a provider that there is not', async () => {
      const body = await original();
      expect((await ring(body, sign(body), 'stripe')).status).toBe(404);
    });
  });
});

test('a signed webhook that lies about a charge is only a doorbell: the provider is asked, and nothing moves', async () => {
  const payments = await world.rowsOf('payment', 'payments', concert);
  const charge = await bodyOf(sandboxCall(`/v1/charges/${payment.id}:1`), 200, chargeReply);
  const paymentId = paymentIdOf(world.stack.secrets.values.holdId, hold.id);
  const lies = [
    { ...charge, amountMinor: 1 },
    { ...charge, status: 'declined', failure: { code: 'stolen_card', detail: 'x' } },
    // A payment that was never started.
    { ...charge, key: `${paymentId}:1`, metadata: { ...charge.metadata, paymentId, bookingId: hold.id } },
  ];
  for (const [number, lie] of lies.entries()) {
    const id = `evt_${String(number).repeat(24)}`;
    const body = JSON.stringify({ id, type: 'charge.succeeded', createdAt: charge.createdAt, data: { charge: lie } });
    expect((await ring(body, sign(body))).status).toBe(200);
  }
  await until(async () => {
    const events = await world.rowsOf('payment', 'webhook_events', concert);
    expect(events).toHaveLength(4);
    expect(events.filter(({ processed_at }) => processed_at === null)).toEqual([]);
  });
  expect(await world.rowsOf('payment', 'payments', concert)).toEqual(payments);
  expect(await world.rowsOf('payment', 'refunds', concert)).toEqual([]);
  expect((await bodyOf(sandboxCall(`/v1/ledger?concertId=${concert.id}`), 200, ledgerReply)).items).toHaveLength(1);
  expect((await world.seatMap(concert)).states).toBe(`112${'0'.repeat(37)}`);
});

function signingKey() {
  const pem = readFileSync(world.stack.secrets.jwtPrivateKeyFile, 'utf8');
  return { privateKey: createPrivateKey(pem), kid: publicJwk(pem).kid };
}

const publicPem = (): string =>
  createPublicKey(signingKey().privateKey).export({ type: 'spki', format: 'pem' }).toString();

const seconds = (ageMs = 0): number => Math.floor((Date.now() - ageMs) / 1_000);

function sign(body: string, { ageMs = 0, secret = world.stack.secrets.values.sandboxWebhook } = {}): string {
  const at = seconds(ageMs);
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

const ring = (rawBody: string, signature: string, provider = 'sandbox') =>
  world.api.payment.call('POST', `/api/webhooks/${provider}`, {
    rawBody,
    headers: { [webhookSignatureHeader]: signature },
  });
