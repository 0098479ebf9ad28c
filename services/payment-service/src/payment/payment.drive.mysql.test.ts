import { UnavailableError } from '@frontrow/shared/result.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMysql, startTestRedis, type TestMysql, type TestServer } from '../../../../scripts/data/servers.ts';
import type { TestHold } from '../booking/testing.ts';
import { newKey, startWorld, type World } from '../testing.ts';
import { type DriveDeps, type DriveEnd, drive } from './payment.drive.ts';
import { startPayment } from './payment.start.ts';

/** Drives without a queue, so that each can be stopped anywhere. */
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

async function start(hold: TestHold, paymentMethod = 'pm_ok'): Promise<string> {
  const enqueue = () => Promise.resolve();
  const { userId, id: bookingId } = hold;
  const command = { userId, bookingId, paymentMethod, idempotencyKey: newKey() };
  const started = await startPayment({ ...world.start, enqueue }, command);
  if (!started.ok) throw new Error(started.failure);
  return started.value.id;
}
const statusOf = async (id: string) => (await world.payments.read(id))?.status;
/** Charged and seats sold, or charged and refunded once, or not charged: and hold, row and provider say the same. */
async function moneyOf(id: string, hold: TestHold): Promise<string> {
  const charges = await world.sandbox.chargesOf(id);
  const charged = charges.filter(({ status }) => status === 'succeeded');
  const refunds = charged.flatMap((charge) => charge.refunds);
  return `${await statusOf(id)}: ${charged.length} charged, ${refunds.length} refunded, ${hold.phase}`;
}

type Method = (...args: never[]) => Promise<unknown>;

/** The dependencies of a worker that dies at its n-th call: before the call is made, or after it had its effect. */
function dyingAt(deps: DriveDeps, n: number, when: 'before' | 'after'): { deps: DriveDeps; died: () => boolean } {
  let calls = 0;
  const mortal = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name);
        if (typeof value !== 'function' || name === 'readWebhook') return value;
        const method = value as Method;
        return async (...args: never[]) => {
          calls += 1;
          if (calls === n && when === 'before') throw new Error('died');
          const result = await method.apply(object, args);
          if (calls === n && when === 'after') throw new Error('died');
          return result;
        };
      },
    });
  const { payments, provider, booking } = deps;
  const dying = { ...deps, payments: mortal(payments), provider: mortal(provider), booking: mortal(booking) };
  return { deps: dying, died: () => calls >= n };
}

/** Drives until it rests, as the queue and the reconciler would. */
async function driveToRest(id: string, deps = world.deps): Promise<void> {
  for (let drives = 0; drives < 100; drives += 1) {
    if ((await drive(deps, id)).end === 'rest') return;
  }
  throw new Error('It did not come to rest.');
}

interface Story {
  name: string;
  method: string;
  /** What happens to the hold before the worker looks. */
  hold: Partial<TestHold>;
  end: string;
}
const stories: Story[] = [
  { name: 'paid', method: 'pm_ok', hold: {}, end: 'completed: 1 charged, 0 refunded, sold' },
  { name: 'declined', method: 'pm_declined', hold: {}, end: 'failed: 0 charged, 0 refunded, held' },
  {
    name: 'paid for seats that a rival has',
    method: 'pm_ok',
    hold: { phase: 'ended', taken: true },
    end: 'refunded: 1 charged, 1 refunded, lost',
  },
];

describe('a worker that dies anywhere', () => {
  test.each(stories)('$name: the next one ends it the same way', async ({ method, hold: change, end }) => {
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const hold = world.booking.newHold();
        const id = await start(hold, method);
        Object.assign(hold, change);
        const dying = dyingAt(world.deps, n, when);
        await drive(dying.deps, id).catch(() => undefined);
        if (!dying.died()) break;
        deaths += 1;
        await driveToRest(id);
        expect(await moneyOf(id, hold), `death ${when} call ${n}`).toBe(end);
      }
    }
    expect(deaths).toBeGreaterThanOrEqual(10);
  });

  test('dies, and the rival has let go meanwhile: what was decided stays decided', async () => {
    // Lost was decided (the row is refunding); then the seats are free again, and another delivery comes.
    for (let n = 1; n <= 12; n += 1) {
      const hold = world.booking.newHold();
      const id = await start(hold);
      Object.assign(hold, { phase: 'ended', taken: true });
      await drive(dyingAt(world.deps, n, 'after').deps, id).catch(() => undefined);
      hold.taken = false;
      await driveToRest(id);
      expect(['completed: 1 charged, 0 refunded, sold', 'refunded: 1 charged, 1 refunded, lost']).toContain(
        await moneyOf(id, hold),
      );
    }
  });
});

describe('two workers and more on the same payment', () => {
  test.each(stories)('$name: one ending, one charge', async ({ method, hold: change, end }) => {
    for (let round = 0; round < 10; round += 1) {
      const hold = world.booking.newHold();
      const id = await start(hold, method);
      Object.assign(hold, change);
      const before = world.counted.length;
      await Promise.all(Array.from({ length: 2 + (round % 4) }, () => driveToRest(id)));
      expect(await moneyOf(id, hold)).toBe(end);
      const moves = world.counted.slice(before).filter((event) => !['new', 'repeated'].includes(event));
      expect(new Set(moves).size, 'each move is won once').toBe(moves.length);
    }
  });
});

describe('what has to wait', () => {
  test('booking-service is away: nothing is decided, and it goes on later', async () => {
    const hold = world.booking.newHold();
    const id = await start(hold);
    const settle = () => Promise.reject(new UnavailableError('away'));
    const deps = { ...world.deps, booking: { ...world.deps.booking, settle } };
    await expect(drive(deps, id)).rejects.toThrow(UnavailableError);
    expect(await statusOf(id)).toBe('captured');
    await driveToRest(id);
    expect(await moneyOf(id, hold)).toBe('completed: 1 charged, 0 refunded, sold');
  });

  test('the provider is away: it stays pending, and a charge that may have worked is looked up', async () => {
    const hold = world.booking.newHold();
    const id = await start(hold);
    const silent = async () => ({ answer: 'silent' as const });
    const away = { ...world.deps.provider, charge: silent, lookUp: silent, void: silent, refund: silent };
    const end: DriveEnd = { end: 'again', waitingFor: 'provider' };
    expect(await drive({ ...world.deps, provider: away }, id)).toEqual(end);
    // The charge arrived, its answer did not.
    const deaf: DriveDeps['provider'] = {
      ...world.deps.provider,
      charge: async (request) => {
        await world.deps.provider.charge(request);
        return { answer: 'silent' };
      },
    };
    await driveToRest(id, { ...world.deps, provider: deaf });
    expect(await moneyOf(id, hold)).toBe('completed: 1 charged, 0 refunded, sold');
  });

  test('a cancellation by policy: the seats go for good before the money goes back', async () => {
    const hold = world.booking.newHold();
    const id = await start(hold);
    await driveToRest(id);
    const payment = await world.payments.read(id);
    if (payment === null) throw new Error('no payment');
    expect(await world.payments.move(payment, { event: 'cancelled' })).toBe(true);
    expect(await world.payments.move(payment, { event: 'cancelled' })).toBe(false);
    hold.durable = false;
    expect(await drive(world.deps, id)).toEqual({ end: 'again', waitingFor: 'booking' });
    expect(await moneyOf(id, hold)).toBe('refunding: 1 charged, 0 refunded, lost');
    hold.durable = true;
    await driveToRest(id);
    expect(await moneyOf(id, hold)).toBe('refunded: 1 charged, 1 refunded, lost');
  });
});
