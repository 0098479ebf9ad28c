import { createHmac } from 'node:crypto';
import { webhookSignatureHeader } from '@frontrow/shared/contracts/provider.ts';
import { bucketOfConcert } from '@frontrow/shared/ids.ts';
import { statement } from '@frontrow/shared/mysql/pool.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../../../scripts/data/servers.ts';
import type { TestHold } from '../booking/testing.ts';
import { drive } from '../payment/payment.drive.ts';
import { startPayment } from '../payment/payment.start.ts';
import { unfinishedStatuses } from '../payment/payment.ts';
import { createReconciler } from '../reconcile/reconcile.ts';
import { newKey, startWorld, until, type World, webhookSecret } from '../testing.ts';

let mysql: TestMysql;
let redis: TestServer;
let world: World;

beforeAll(async () => {
  [mysql, redis] = await Promise.all([startTestMysql(), startTestRedis()]);
  world = await startWorld({ paymentShardUrls: mysql.paymentShardUrls, redisUrl: redis.url });
});
afterAll(async () => {
  await world?.stop();
  await Promise.all([mysql?.stop(), redis?.stop()]);
});

const readEvents = statement(
  'test.events',
  'SELECT event_id, type, payload, processed_at FROM webhook_events WHERE concert_id = ? AND payment_id = UNHEX(?)',
);
interface EventRow {
  event_id: string;
  type: string;
  payload: string;
  processed_at: Date | null;
}
const eventsOf = (id: string): Promise<EventRow[]> =>
  world.shards.ofBucket(bucketOfConcert(7)).rows(readEvents, [7, id.replaceAll('-', '')]);

/** Takes a payment without telling a worker. */
async function start(hold: TestHold, paymentMethod = 'pm_ok'): Promise<string> {
  const enqueue = () => Promise.resolve();
  const { userId, id: bookingId } = hold;
  const command = { userId, bookingId, paymentMethod, idempotencyKey: newKey() };
  const started = await startPayment({ ...world.start, enqueue }, command);
  if (!started.ok) throw new Error(started.failure);
  return started.value.id;
}
const statusOf = async (id: string) => (await world.payments.read(id))?.status;
const becomes = (id: string, status: string) => until(async () => (await statusOf(id)) === status);

const sign = (body: string, seconds = Math.floor(Date.now() / 1_000), secret = webhookSecret): string =>
  `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
async function deliver(rawBody: string, signature?: string, provider = 'sandbox') {
  const headers = signature === undefined ? {} : { [webhookSignatureHeader]: signature };
  const { status, body } = await world.api.call('POST', `/api/webhooks/${provider}`, { rawBody, headers });
  return { status, code: typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined };
}
/** A payment whose charge succeeded, and the provider's own event of it as it was stored. */
async function chargedPayment(): Promise<{ id: string; payload: string }> {
  const id = await start(world.booking.newHold());
  await drive(world.deps, id);
  await until(async () => (await eventsOf(id)).length > 0);
  const [event] = await eventsOf(id);
  return { id, payload: event?.payload ?? '' };
}

describe('a delivery', () => {
  test('repeated and replayed: stored once, answered with 200, harmless', async () => {
    const worker = await world.startWorker();
    const { id, payload } = await chargedPayment();
    await until(async () => (await eventsOf(id)).every(({ processed_at }) => processed_at !== null));
    const replies = await Promise.all(Array.from({ length: 10 }, () => deliver(payload, sign(payload))));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    expect(await eventsOf(id)).toHaveLength(1);
    await becomes(id, 'completed');
    expect(await world.sandbox.chargesOf(id)).toMatchObject([{ status: 'succeeded', refunds: [] }]);
    await worker.stop();
  });

  test('with a bad signature, an old time, or a changed body: 401, and nothing is stored', async () => {
    const { id, payload } = await chargedPayment();
    const changed = payload.replace(/evt_[0-9a-f]{24}/, 'evt_000000000000000000000000');
    const now = Math.floor(Date.now() / 1_000);
    const refused = { status: 401, code: 'unauthenticated' };
    expect(await deliver(changed)).toEqual(refused);
    expect(await deliver(changed, 'nonsense')).toEqual(refused);
    expect(await deliver(changed, sign(changed, now, 'another-secret'))).toEqual(refused);
    expect(await deliver(changed, sign(payload))).toEqual(refused);
    expect(await deliver(changed, sign(changed, now - 301))).toEqual(refused);
    expect(await deliver(changed, sign(changed, now + 330))).toEqual(refused);
    expect(await eventsOf(id)).toHaveLength(1);
    expect(await deliver(changed, sign(changed, now - 290))).toMatchObject({ status: 200 });
    expect(await eventsOf(id)).toHaveLength(2);
  });

  test('to an unknown provider, of something that is no event, of somebody else’s charge', async () => {
    const { payload } = await chargedPayment();
    expect(await deliver(payload, sign(payload), 'nobody')).toEqual({ status: 404, code: 'not_found' });
    for (const body of ['{', '{}', 'null']) {
      expect(await deliver(body, sign(body))).toEqual({ status: 400, code: 'invalid_request' });
    }
    const foreign = payload.replaceAll(/"key":"[^"]+"/g, '"key":"order-17"');
    expect(await deliver(foreign, sign(foreign))).toMatchObject({ status: 200 });
    const large = ' '.repeat(40_000);
    expect(await deliver(large, sign(large))).toEqual({ status: 413, code: 'payload_too_large' });
  });

  test('whose worker could not be told is driven when the provider sends it again, or by the reconciler', async () => {
    const { id, payload } = await chargedPayment();
    await world.queue.drain();
    expect((await eventsOf(id)).map(({ processed_at }) => processed_at)).toEqual([null]);
    await deliver(payload, sign(payload));
    expect(await world.queue.count()).toBe(1);
    await world.queue.drain();

    const found: unknown[] = [];
    const tick = createReconciler(
      { shards: world.shards.all, statuses: [], enqueue: async (one) => void found.push(one), count: () => undefined },
      { idleMs: 0 },
    );
    await until(async () => (await tick()) > 0);
    const { id: eventId } = JSON.parse(payload);
    expect(found).toContainEqual({ paymentId: id, attempt: 1, event: { provider: 'sandbox', id: eventId } });
  });
});

describe('a charge that should not be', () => {
  const about = (hold: TestHold, id: string, attempt: number) => ({
    key: `${id}:${attempt}`,
    amountMinor: hold.amountMinor,
    currency: 'IDR',
    paymentMethod: 'pm_ok',
    metadata: { concertId: 7, paymentId: id, bookingId: hold.id },
  });
  /** Writes a decline that the provider never said. */
  async function decline(id: string): Promise<void> {
    const payment = await world.payments.read(id);
    if (payment === null) throw new Error('no payment');
    const failure = { code: 'test', detail: 'a wrong belief' };
    await world.payments.move(payment, { event: 'declined', failure, attemptStatus: 'failed' });
  }

  test('a failed payment turns out to be charged: the webhook leads to its seats', async () => {
    const worker = await world.startWorker();
    const hold = world.booking.newHold();
    const id = await start(hold);
    await decline(id);
    expect((await world.sandbox.charge(about(hold, id, 1))).status).toBe(200);
    await becomes(id, 'completed');
    expect(hold.phase).toBe('sold');
    await worker.stop();
  });

  test('a second charge, of an attempt left behind, goes back exactly once; the payment stays', async () => {
    const hold = world.booking.newHold();
    const id = await start(hold);
    await decline(id);
    expect(await start(hold)).toBe(id);
    await drive(world.deps, id);
    expect(await statusOf(id)).toBe('completed');
    const workers = await Promise.all([world.startWorker(), world.startWorker()]);
    expect((await world.sandbox.charge(about(hold, id, 1))).status).toBe(200);
    await until(async () => world.counted.includes('stray'));
    await Promise.all(Array.from({ length: 5 }, () => drive(world.deps, id, 1)));
    const charges = await world.sandbox.chargesOf(id);
    expect(charges.map(({ key, refunds }) => ({ key, refunds: refunds.map((refund) => refund.key) }))).toEqual([
      { key: `${id}:2`, refunds: [] },
      { key: `${id}:1`, refunds: [`refund:${id}:1`] },
    ]);
    expect(await statusOf(id)).toBe('completed');
    expect(hold.phase).toBe('sold');
    await Promise.all(workers.map((worker) => worker.stop()));
  });
});

test('the reconciler finds what nobody drives, on every shard, in bounded batches', async () => {
  const worker = await world.startWorker();
  const ids: string[] = [];
  for (let index = 0; index < 12; index += 1) ids.push(await start(world.booking.newHold({}, 10 + index)));
  const tick = createReconciler(
    {
      shards: world.shards.all,
      statuses: unfinishedStatuses,
      enqueue: (found) => world.enqueue({ ...found, once: true }),
      count: () => undefined,
    },
    { idleMs: 0, batchMax: 2 },
  );
  await until(async () => {
    expect(await tick()).toBeLessThanOrEqual(world.shards.all.length * (unfinishedStatuses.length + 1) * 2);
    const statuses = await Promise.all(ids.map(statusOf));
    return statuses.every((status) => status === 'completed');
  });
  await worker.stop();
});
