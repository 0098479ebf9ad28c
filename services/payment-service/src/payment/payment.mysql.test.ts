import { signServiceToken } from '@frontrow/shared/http/auth.ts';
import { newUserId, randomHoldId } from '@frontrow/shared/ids.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../../../scripts/data/servers.ts';
import type { TestHold } from '../booking/testing.ts';
import { newKey, serviceTokenSecret, startWorld, until, type World } from '../testing.ts';
import { startPayment } from './payment.start.ts';

/** The API and the worker together, over HTTP. */
let mysql: TestMysql;
let redis: TestServer;
let world: World;
let worker: { stop(): Promise<void> };

beforeAll(async () => {
  [mysql, redis] = await Promise.all([startTestMysql(), startTestRedis()]);
  world = await startWorld({ paymentShardUrls: mysql.paymentShardUrls, redisUrl: redis.url });
  worker = await world.startWorker();
});
afterAll(async () => {
  await worker?.stop();
  await world?.stop();
  await Promise.all([mysql?.stop(), redis?.stop()]);
});

interface Asked {
  method?: string;
  key?: string;
  userId?: string;
}
const pay = (
  hold: Pick<TestHold, 'id' | 'userId'>,
  { method = 'pm_ok', key = newKey(), userId = hold.userId }: Asked = {},
) =>
  world.api.call('POST', '/api/payments', {
    body: { bookingId: hold.id, paymentMethod: method },
    token: world.token(userId),
    headers: { 'idempotency-key': key },
  });
const code = (reply: { status: number; body: unknown }) => ({
  status: reply.status,
  code: typeof reply.body === 'object' && reply.body !== null && 'code' in reply.body ? reply.body.code : undefined,
});
const read = async (hold: TestHold, id: string) =>
  (await world.api.call('GET', `/api/payments/${id}`, { token: world.token(hold.userId) })).body;
const idOf = (reply: { body: unknown }): string =>
  typeof reply.body === 'object' && reply.body !== null && 'id' in reply.body ? String(reply.body.id) : '';
const becomes = (hold: TestHold, id: string, status: string) =>
  until(async () => {
    const body = await read(hold, id);
    return typeof body === 'object' && body !== null && 'status' in body && body.status === status;
  });

describe('paying', () => {
  test('is taken at once and completed in the background, charged once', async () => {
    const hold = world.booking.newHold();
    const key = newKey();
    const first = await pay(hold, { key });
    expect(first.status).toBe(202);
    expect(first.body).toEqual({
      id: idOf(first),
      bookingId: hold.id,
      status: 'pending',
      amountMinor: hold.amountMinor,
      currency: 'IDR',
      attempt: 1,
    });
    expect(first.headers.get('location')).toBe(`/api/payments/${idOf(first)}`);
    await becomes(hold, idOf(first), 'completed');
    expect(hold.phase).toBe('sold');
    const charges = await world.sandbox.chargesOf(idOf(first));
    expect(charges).toMatchObject([{ key: `${idOf(first)}:1`, status: 'succeeded', refunds: [] }]);

    // The same key and body again: the same answer; a new key: there is nothing more to pay.
    expect((await pay(hold, { key })).body).toEqual(first.body);
    expect(code(await pay(hold))).toEqual({ status: 409, code: 'already_paid' });
    expect(code(await pay(hold, { key, method: 'pm_slow' }))).toEqual({ status: 409, code: 'idempotency_key_reused' });
  });

  test('is shown as pending until the booking is durable', async () => {
    const hold = world.booking.newHold({ durable: false });
    const id = idOf(await pay(hold));
    await until(() => hold.phase === 'sold');
    expect(await read(hold, id)).toMatchObject({ status: 'pending' });
    hold.durable = true;
    await becomes(hold, id, 'completed');
  });

  test('declined, then another key succeeds', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold, { method: 'pm_declined' }));
    await becomes(hold, id, 'failed');
    expect(await read(hold, id)).toMatchObject({ attempt: 1, failure: { code: 'insufficient_funds' } });
    expect(hold.phase).toBe('held');

    expect(await pay(hold)).toMatchObject({ status: 202, body: { id, attempt: 2 } });
    await becomes(hold, id, 'completed');
    expect(await read(hold, id)).not.toHaveProperty('failure');
    const charges = await world.sandbox.chargesOf(id);
    expect(charges.map(({ key, status }) => ({ key, status }))).toEqual([
      { key: `${id}:1`, status: 'declined' },
      { key: `${id}:2`, status: 'succeeded' },
    ]);
  });

  test('ends after the attempts that a hold may have', async () => {
    const hold = world.booking.newHold();
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const taken = await pay(hold, { method: 'pm_declined' });
      expect(taken.body).toMatchObject({ attempt });
      await becomes(hold, idOf(taken), 'failed');
    }
    expect(code(await pay(hold))).toEqual({ status: 409, code: 'payment_attempts_exhausted' });
  });

  test.each(['pm_timeout', 'pm_timeout_unknown', 'pm_pending', 'pm_slow', 'pm_duplicate', 'pm_reordered'])(
    '%s: charged once, whatever the provider does with its answer',
    async (method) => {
      const hold = world.booking.newHold();
      const id = idOf(await pay(hold, { method }));
      await becomes(hold, id, 'completed');
      expect(await world.sandbox.chargesOf(id)).toMatchObject([{ status: 'succeeded', refunds: [] }]);
    },
  );

  test('pending and then declined', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold, { method: 'pm_pending_declined' }));
    await becomes(hold, id, 'failed');
    expect(hold.phase).toBe('held');
  });

  test('a charge that the provider does not know is voided when the hold is over', async () => {
    const hold = world.booking.newHold({ expiresAtMs: Date.now() - 1 });
    const id = idOf(await pay(hold));
    await becomes(hold, id, 'failed');
    expect(await read(hold, id)).toMatchObject({ failure: { code: 'hold_expired' } });
    expect(await world.sandbox.chargesOf(id)).toMatchObject([{ status: 'voided', refunds: [] }]);
  });
});

describe('paid after the hold ended', () => {
  test('the seats are still free: they are taken again', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold, { method: 'pm_pending' }));
    hold.phase = 'ended';
    await becomes(hold, id, 'completed');
    expect(hold.phase).toBe('sold');
  });

  test('a rival has them: the money goes back, exactly once', async () => {
    const hold = world.booking.newHold({ durable: false });
    const id = idOf(await pay(hold, { method: 'pm_pending' }));
    Object.assign(hold, { phase: 'ended', taken: true });
    await until(async () => (await world.payments.read(id))?.status === 'refunding');
    // Shown as paid until the money is back; and it waits until MySQL has the loss.
    expect(await read(hold, id)).toMatchObject({ status: 'completed' });
    expect(code(await pay(hold))).toEqual({ status: 409, code: 'hold_expired' });
    expect(await world.sandbox.chargesOf(id)).toMatchObject([{ refunds: [] }]);
    hold.durable = true;
    await becomes(hold, id, 'refunded');
    const [charge] = await world.sandbox.chargesOf(id);
    expect(charge).toMatchObject({
      status: 'succeeded',
      refunds: [{ key: `refund:${id}:1`, amountMinor: hold.amountMinor }],
    });
    expect(hold.phase).toBe('lost');
  });
});

describe('what is refused', () => {
  test('without a token, a key, or a body that is one', async () => {
    const hold = world.booking.newHold();
    const body = { bookingId: hold.id, paymentMethod: 'pm_ok' };
    const token = world.token(hold.userId);
    const headers = { 'idempotency-key': newKey() };
    const post = (options: object) => world.api.call('POST', '/api/payments', options).then(code);
    expect(await post({ body, headers })).toEqual({ status: 401, code: 'unauthenticated' });
    expect(await post({ body, token })).toEqual({ status: 400, code: 'invalid_request' });
    expect(await post({ body: { ...body, cardNumber: '4111' }, token, headers })).toMatchObject({ status: 400 });
    expect(await post({ body: { ...body, paymentMethod: '4111' }, token, headers })).toMatchObject({ status: 400 });
    expect(await post({ body: { ...body, bookingId: newUserId() }, token, headers })).toMatchObject({ status: 400 });
    expect(await post({ rawBody: '{', token, headers })).toEqual({ status: 400, code: 'malformed_json' });
    expect(hold.phase).toBe('held');
  });

  test('somebody else’s hold, an unknown one, one that ended', async () => {
    const hold = world.booking.newHold();
    expect(code(await pay(hold, { userId: newUserId() }))).toEqual({ status: 404, code: 'not_found' });
    expect(code(await pay({ id: randomHoldId(7), userId: hold.userId }))).toEqual({ status: 404, code: 'not_found' });
    hold.phase = 'ended';
    expect(code(await pay(hold))).toEqual({ status: 409, code: 'hold_expired' });
  });

  test('somebody else’s payment, and ids that are none', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold));
    const stranger = newUserId();
    const get = (path: string) => world.api.call('GET', path, { token: world.token(stranger) }).then(code);
    expect(await get(`/api/payments/${id}`)).toEqual({ status: 404, code: 'not_found' });
    expect(code(await pay(hold, { userId: stranger }))).toEqual({ status: 404, code: 'not_found' });
    expect(await get(`/api/payments/${hold.id}`)).toEqual({ status: 404, code: 'not_found' });
    expect(await get('/api/payments/7')).toEqual({ status: 400, code: 'invalid_id' });
    await becomes(hold, id, 'completed');
  });

  test('a new key while a payment runs', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold, { method: 'pm_pending' }));
    expect(code(await pay(hold))).toEqual({ status: 409, code: 'payment_pending' });
    await becomes(hold, id, 'completed');
  });
});

describe('many at once', () => {
  test('twenty times the same request: one payment, the same answer', async () => {
    const hold = world.booking.newHold();
    const key = newKey();
    const replies = await Promise.all(Array.from({ length: 20 }, () => pay(hold, { key })));
    expect(new Set(replies.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size).toBe(1);
    expect(replies[0]?.status).toBe(202);
    await becomes(hold, idOf({ body: replies[0]?.body }), 'completed');
  });

  test('twenty keys: one is taken', async () => {
    const hold = world.booking.newHold();
    const replies = await Promise.all(Array.from({ length: 20 }, () => pay(hold, { method: 'pm_pending' })));
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(replies.filter((reply) => code(reply).code === 'payment_pending')).toHaveLength(19);
    const taken = replies.find(({ status }) => status === 202);
    await becomes(hold, idOf({ body: taken?.body }), 'completed');
  });

  test('twenty keys after a decline: one is the second attempt', async () => {
    const hold = world.booking.newHold();
    const id = idOf(await pay(hold, { method: 'pm_declined' }));
    await becomes(hold, id, 'failed');
    const replies = await Promise.all(Array.from({ length: 20 }, () => pay(hold, { method: 'pm_pending' })));
    expect(replies.filter(({ status }) => status === 202)).toMatchObject([{ body: { id, attempt: 2 } }]);
    await becomes(hold, id, 'completed');
  });
});

describe('a crash on the way in', () => {
  const command = (hold: TestHold) => ({
    userId: hold.userId,
    bookingId: hold.id,
    paymentMethod: 'pm_ok',
    idempotencyKey: newKey(),
  });

  test('between begin and the row: the repeat goes on', async () => {
    const hold = world.booking.newHold();
    const asked = command(hold);
    const insert = () => Promise.reject(new Error('crash'));
    const crashing = { ...world.start, payments: { ...world.payments, insert } };
    await expect(startPayment(crashing, asked)).rejects.toThrow('crash');
    expect(hold).toMatchObject({ phase: 'paying', attempt: 1 });
    const started = await startPayment(world.start, asked);
    if (!started.ok) throw new Error(started.failure);
    await becomes(hold, started.value.id, 'completed');
  });

  test('before a worker was told: it is taken all the same', async () => {
    const hold = world.booking.newHold();
    const enqueue = () => Promise.reject(new Error('the queue is away'));
    const started = await startPayment({ ...world.start, enqueue }, command(hold));
    expect(started).toMatchObject({ ok: true, value: { status: 'pending' } });
  });
});

test('a reset forgets the payments of one concert', async () => {
  const [kept, gone] = [world.booking.newHold({}, 8), world.booking.newHold({}, 9)];
  const [keptId, goneId] = [idOf(await pay(kept)), idOf(await pay(gone))];
  await Promise.all([becomes(kept, keptId, 'completed'), becomes(gone, goneId, 'completed')]);

  const reset = (token: string) => world.api.call('POST', '/internal/concerts/9/reset', { token });
  expect(await reset(world.token(kept.userId))).toMatchObject({ status: 401 });
  expect(await reset(signServiceToken(serviceTokenSecret, 'rush'))).toMatchObject({
    status: 200,
    body: { concertId: 9, removedPayments: 1 },
  });
  expect(await world.payments.read(goneId)).toBeNull();
  expect(await read(kept, keptId)).toMatchObject({ status: 'completed' });
});
