import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { holdReply } from '@frontrow/shared/contracts/hold.ts';
import { paymentReply } from '@frontrow/shared/contracts/payment.ts';
import { type ErrorCode, errorCodes, errors } from '@frontrow/shared/errors.ts';
import { randomHoldId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { ApiReply } from '@frontrow/shared/testing/api-client.ts';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodyOf, codeOf, type Fan, startWorld, type TestConcert, type World } from './world.testing.ts';

let world: World;
/** Without its Redis, and with no room for a hold that waits: what no healthy system answers. */
let ill: World;
let concert: TestConcert;
let illConcert: TestConcert;
let upcoming: TestConcert;
let closed: TestConcert;
beforeAll(async () => {
  [world, ill] = await Promise.all([
    startWorld({ without: ['origin'] }),
    startWorld({
      without: ['origin', 'user', 'payment', 'payment-worker', 'sandbox'],
      bookingProcesses: 1,
      env: { HOLDS_WAITING_MAX: '0' },
    }),
  ]);
  const tomorrow = new Date(Date.now() + 86_400_000);
  [concert, upcoming, closed, illConcert] = await Promise.all([
    world.createConcert({ seatCount: 100 }),
    world.createConcert({ opensAt: tomorrow }),
    world.createConcert({ saleOverride: 'closed' }),
    ill.createConcert(),
  ]);
});
afterAll(() => Promise.all([world?.stop(), ill?.stop()]));

let seatsUsed = 0;
/** A seat of the concert that no other case touches. */
const newSeat = (): string => {
  seatsUsed += 1;
  return concert.seats[seatsUsed] ?? '';
};

const holdsUrl = () => `/api/concerts/${concert.id}/holds`;
const held = (fan: Fan, seats = [newSeat()], key?: string) =>
  bodyOf(world.hold(concert, fan, seats, key === undefined ? {} : { key }), 201, holdReply);
const account = (username: string) => ({ username, email: `${username}@example.com`, password: 'a long password' });
const register = (body: object) => world.api.user.call('POST', '/api/users', { body });
const letGo = (fan: Fan, holdId: string) =>
  world.api.booking.call('DELETE', `/api/holds/${holdId}`, { token: fan.token });

/** Starts a payment and waits for its end. */
async function pay(fan: Fan, bookingId: string, method = 'pm_ok', end: 'completed' | 'failed' = 'completed') {
  const { id } = await bodyOf(world.pay(fan, bookingId, method), 202, paymentReply);
  return world.waitForPayment(fan, id, end);
}

/** How each code of the table comes about: the last request of each is answered with it. */
const cases: Record<ErrorCode, () => Promise<ApiReply>> = {
  malformed_json: () =>
    world.api.booking.call('POST', holdsUrl(), { token: world.newFan().token, rawBody: '{"seats":' }),
  invalid_request: () =>
    world.api.booking.call('POST', holdsUrl(), { token: world.newFan().token, body: { seats: [] } }),
  invalid_id: () => world.api.booking.call('GET', '/api/concerts/abc'),
  unauthenticated: () => world.api.booking.call('POST', holdsUrl(), { body: { seats: [newSeat()] } }),
  token_expired: () =>
    world.hold(concert, { userId: '', token: world.tokenOf(world.newFan().userId, 'fan', -10) }, [newSeat()]),
  invalid_credentials: () =>
    world.api.user.call('POST', '/api/sessions', {
      body: { email: 'nobody@example.com', password: 'a long password' },
    }),
  forbidden: () => world.api.booking.call('GET', `/api/concerts/${concert.id}/events`, { token: world.newFan().token }),
  not_found: () => world.api.booking.call('GET', '/api/concerts/2000000000'),
  method_not_allowed: () => world.api.booking.call('PATCH', `/api/concerts/${concert.id}`, { body: {} }),
  seats_taken: async () => {
    const { seats } = await held(world.newFan());
    return world.hold(concert, world.newFan(), seats);
  },
  sale_not_open: () => world.hold(upcoming, world.newFan(), upcoming.seats.slice(0, 1)),
  sale_closed: () => world.hold(closed, world.newFan(), closed.seats.slice(0, 1)),
  sold_out: async () => {
    const single = await world.createConcert({ seatCount: 1 });
    const fan = world.newFan();
    const hold = await bodyOf(world.hold(single, fan, single.seats), 201, holdReply);
    await pay(fan, hold.id);
    await world.askEvery(`/api/concerts/${single.id}/seatmap`, ({ body }) =>
      expect(body).toMatchObject({ states: '2' }),
    );
    return world.hold(single, world.newFan(), single.seats);
  },
  hold_expired: async () => {
    const [fan, seat] = [world.newFan(), newSeat()];
    await letGo(fan, (await held(fan, [seat], 'once')).id);
    return world.hold(concert, fan, [seat], { key: 'once' });
  },
  email_taken: async () => {
    await register(account('first'));
    return register({ ...account('second'), email: account('first').email });
  },
  username_taken: async () => {
    await register(account('third'));
    return register({ ...account('third'), email: 'another@example.com' });
  },
  idempotency_key_reused: async () => {
    const fan = world.newFan();
    await held(fan, [newSeat()], 'mine');
    return world.hold(concert, fan, [newSeat()], { key: 'mine' });
  },
  already_paid: async () => {
    const fan = world.newFan();
    const { id } = await held(fan);
    await pay(fan, id);
    return world.pay(fan, id);
  },
  payment_pending: async () => {
    const fan = world.newFan();
    const { id } = await held(fan);
    await bodyOf(world.pay(fan, id, 'pm_pending'), 202, paymentReply);
    return world.pay(fan, id);
  },
  payment_attempts_exhausted: async () => {
    const fan = world.newFan();
    const { id } = await held(fan);
    for (let attempt = 1; attempt <= limits.paymentAttemptsMax; attempt += 1) {
      expect(await pay(fan, id, 'pm_declined', 'failed')).toMatchObject({
        attempt,
        failure: { code: 'insufficient_funds' },
      });
    }
    return world.pay(fan, id);
  },
  not_cancellable: async () => {
    const fan = world.newFan();
    const { id } = await held(fan);
    await bodyOf(world.pay(fan, id, 'pm_pending'), 202, paymentReply);
    return letGo(fan, id);
  },
  log_trimmed: async () => {
    const trimmed = await world.createConcert();
    for (const seat of trimmed.seats.slice(0, 3)) await world.hold(trimmed, world.newFan(), [seat]);
    await world.untilStored(trimmed);
    const redis = new Redis(world.stack.databases.redis.seats);
    await redis.xtrim(`{${trimmed.id}}:log`, 'MINID', '1-3');
    redis.disconnect();
    const { token } = world.newFan('organiser');
    const kept = await world.api.booking.call('GET', `/api/concerts/${trimmed.id}/events?after=1-2`, { token });
    expect(kept.body).toMatchObject({ items: [{ id: '1-3' }] });
    return world.api.booking.call('GET', `/api/concerts/${trimmed.id}/events?after=1-0`, { token });
  },
  payload_too_large: () =>
    world.api.booking.call('POST', holdsUrl(), {
      token: world.newFan().token,
      body: { seats: ['x'.repeat(1_000_000)] },
    }),
  unsupported_media_type: () =>
    world.api.booking.call('POST', holdsUrl(), {
      token: world.newFan().token,
      rawBody: 'seats=A-1-1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
  seat_limit_reached: async () => {
    const fan = world.newFan();
    await held(fan, Array.from({ length: 8 }, newSeat));
    return world.hold(concert, fan, [newSeat()]);
  },
  unknown_seat: () => world.hold(concert, world.newFan(), [newSeat(), 'Z-99-1']),
  rate_limited: async () => {
    const [fan, seat] = [world.newFan(), newSeat()];
    for (let time = 1; time <= limits.recordsPerFanMax; time += 1) {
      await letGo(fan, (await held(fan, [seat], `time-${time}`)).id);
    }
    return world.hold(concert, fan, [seat]);
  },
  internal: async () => {
    const users = `${new URL(world.stack.databases.mysql.users).pathname.slice(1)}.users`;
    await world.sql(`RENAME TABLE ${users} TO ${users}_away`);
    try {
      return await world.api.user.call('POST', '/api/sessions', { body: { email: 'a@example.com', password: 'a' } });
    } finally {
      await world.sql(`RENAME TABLE ${users}_away TO ${users}`);
    }
  },
  overloaded: () => ill.hold(illConcert, ill.newFan(), illConcert.seats.slice(0, 1)),
  unavailable: async () => {
    await ill.stack.processes.redis?.stop();
    const { token } = ill.newFan();
    return ill.api.booking.call('GET', `/api/holds/${randomHoldId(illConcert.id)}`, { token });
  },
};

/** What a code brings beside the problem's own members. */
const details: Partial<Record<ErrorCode, object>> = {
  invalid_request: { errors: [{ path: 'seats' }] },
  seats_taken: { conflicts: [expect.stringMatching(/^A-1-\d+$/)] },
  sale_not_open: { opensAt: expect.stringMatching(/^\d{4}-.*Z$/) },
  unknown_seat: { errors: [{ path: 'seats.1', code: 'unknown_seat' }] },
};

describe('every code of the table comes about over HTTP', () => {
  test('the cases are those of the table', () => {
    expect(Object.keys(cases).sort()).toEqual([...errorCodes].sort());
  });

  test.each(errorCodes)('%s', async (code) => {
    const reply = await cases[code]();
    const { status, title, retryable } = errors[code];
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(reply.body).toMatchObject({
      type: `/docs/errors#${code}`,
      title,
      status,
      code,
      retryable,
      ...details[code],
    });
    expect(reply).toMatchObject({ status, body: { requestId: reply.headers.get('x-request-id') } });
    expect(reply.headers.get('retry-after') !== null).toBe(status === 429 || status === 503);
    expect(reply.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer' : null);
    expect(reply.headers.get('allow')).toBe(code === 'method_not_allowed' ? 'GET, HEAD' : null);
  });

  test('a refused rate says when and how much', async () => {
    const fan = world.newFan();
    const seat = newSeat();
    for (let time = 0; time < limits.recordsPerFanMax; time += 1) await letGo(fan, (await held(fan, [seat])).id);
    const { headers } = await world.hold(concert, fan, [seat]);
    expect(headers.get('x-ratelimit-limit')).toBe(String(limits.recordsPerFanMax));
    expect(headers.get('x-ratelimit-remaining')).toBe('0');
    expect(headers.get('x-ratelimit-reset')).toBe(headers.get('retry-after'));
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(limits.resendWindowMs / 1_000);
  });

  test('a fault of ours shows nothing of the inside; the log has it under its request id', async () => {
    const { body, headers } = await cases.internal();
    expect(JSON.stringify(body)).not.toMatch(/table|users|ER_|SELECT|\.ts/i);
    const log = readFileSync(join(world.stack.settings.dataDir, 'logs/user.log'), 'utf8');
    const line = log.split('\n').find((text) => text.includes(headers.get('x-request-id') ?? 'none'));
    expect(line).toContain('ER_NO_SUCH_TABLE');
  });
});

describe.each(['user', 'booking', 'payment', 'sandbox'] as const)('the document of %s', (service) => {
  const methods = ['get', 'put', 'post', 'delete', 'patch'] as const;
  const addresses = () =>
    Object.entries(world.documents[service]?.paths ?? {}).flatMap(([path, item]) =>
      methods.flatMap((method) => (item[method] ? [{ method: method.toUpperCase(), path }] : [])),
    );
  const filled = (path: string, like: 'known' | 'nonsense') => {
    const known: Record<string, string> = {
      concertId: String(upcoming.id),
      version: '1',
      provider: 'sandbox',
      venueId: 'hall',
      userId: world.newFan().userId,
      key: 'nothing:1',
    };
    return path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      like === 'nonsense' ? '%20' : (known[name] ?? randomHoldId(concert.id)),
    );
  };
  const call = (method: string, path: string, token?: string) =>
    world.api[service].call(method, path, {
      ...(token !== undefined && { token }),
      ...(method !== 'GET' && method !== 'DELETE' && { body: {} }),
    });

  test('has addresses that all exist, and whose every answer it describes', async () => {
    expect(addresses().length).toBeGreaterThan(2);
    const tokens = [undefined, 'nonsense', world.newFan().token, world.newFan('admin').token, world.serviceToken()];
    const asked = service === 'sandbox' ? [...tokens, world.stack.secrets.values.sandboxApiKey] : tokens;
    for (const { method, path } of addresses()) {
      for (const token of asked) {
        // The client fails when an answer is not as documented.
        for (const address of [filled(path, 'known'), filled(path, 'nonsense')]) {
          const reply = await call(method, address, token);
          expect(reply.body).not.toMatchObject({ detail: expect.stringContaining('No such address') });
          expect(codeOf(reply), `${method} ${address}`).not.toBe('method_not_allowed');
          expect(reply.status, `${method} ${address}`).not.toBe(500);
        }
      }
    }
  });

  test('is OpenAPI 3.1, and an address that it does not have is not there', async () => {
    expect(world.documents[service]?.openapi).toMatch(/^3\.1\./);
    const response = await fetch(`${world.stack.addresses[service]}/api/nothing`);
    expect(await response.json()).toMatchObject({
      code: 'not_found',
      detail: expect.stringContaining('No such address'),
    });
  });
});
