import { bookingListReply, type holdDetailReply, holdReply } from '@frontrow/shared/contracts/hold.ts';
import { formatUuid } from '@frontrow/shared/ids.ts';
import type { ApiReply } from '@frontrow/shared/testing/api-client.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  bodyOf,
  codeOf,
  type Fan,
  startWorld,
  type TestConcert,
  until,
  type World,
} from '../../../../scripts/e2e/world.testing.ts';

const onlyBooking = { without: ['user', 'payment', 'payment-worker', 'sandbox', 'origin'] };
const ownConnection = true;

/** Every fan asks at once, on a connection of their own. */
const rush = (world: World, concert: TestConcert, wishes: readonly { fan: Fan; seats: string[] }[]) =>
  Promise.all(wishes.map(({ fan, seats }) => world.hold(concert, fan, seats, { ownConnection })));

const granted = (replies: readonly ApiReply[]) =>
  replies.filter(({ status }) => status === 201).map(({ body }) => holdReply.parse(body));
const seatsOf = (holds: readonly z.infer<typeof holdReply>[]) => holds.flatMap(({ seats }) => seats);

/** 300 fans, each for three neighbouring seats of a ring, named in different orders: every wish crosses four others. */
const crossingWishes = (world: World, { seats }: TestConcert) =>
  Array.from({ length: 300 }, (_, number) => {
    const three = [0, 1, 2].map((step) => seats[(number + step) % seats.length] ?? '');
    return { fan: world.newFan(), seats: number % 2 === 0 ? three : three.reverse() };
  });

describe('two booking processes on one port', () => {
  let world: World;
  /** Made first and looked at last: its time runs while the others are tested. */
  let leaving: { concert: TestConcert; fan: Fan; hold: z.infer<typeof holdReply> };
  beforeAll(async () => {
    // One process refuses from its own memory what it can; at the other, Redis alone refuses.
    world = await startWorld({ ...onlyBooking, processEnv: { 'booking-2': { TACTIC_EARLY_REFUSAL: 'off' } } });
    const [concert, fan] = [await world.createConcert({ holdTtlMs: 10_000 }), world.newFan()];
    const reply = await world.hold(concert, fan, concert.seats.slice(0, 1), { key: 'slow' });
    leaving = { concert, fan, hold: await bodyOf(reply, 201, holdReply) };
  });
  afterAll(() => world?.stop());

  test('of 500 fans who ask for one seat at once, one gets it, and it is stored once', async () => {
    const concert = await world.createConcert();
    const [seat = ''] = concert.seats;
    const wishes = Array.from({ length: 500 }, () => ({ fan: world.newFan(), seats: [seat] }));
    const replies = await rush(world, concert, wishes);

    const [winner, ...others] = granted(replies);
    expect(others).toEqual([]);
    const refused = replies.filter((reply) => codeOf(reply) === 'seats_taken');
    expect(refused).toHaveLength(499);
    for (const { status, body } of refused)
      expect({ status, body }).toMatchObject({ status: 409, body: { conflicts: [seat] } });
    expect(new Set(replies.map(world.answeredBy))).toEqual(new Set(['booking-1', 'booking-2']));

    await world.untilStored(concert);
    const rows = await world.rowsOf('booking', 'bookings', concert);
    expect(rows.map(({ id }) => formatUuid(id as Buffer))).toEqual([winner?.id]);
    expect((await world.seatMap(concert)).states).toBe(`1${'0'.repeat(19)}`);
  });

  test('holds of several seats that cross are all or nothing', async () => {
    const concert = await world.createConcert({ seatCount: 30 });
    const replies = await rush(world, concert, crossingWishes(world, concert));

    const holds = granted(replies);
    expect(holds.length).toBeGreaterThan(5);
    expect(holds.map(({ seats }) => seats.length)).toEqual(holds.map(() => 3));
    const taken = seatsOf(holds);
    expect(new Set(taken).size).toBe(taken.length);
    const refused = replies.filter((reply) => codeOf(reply) === 'seats_taken');
    expect(refused).toHaveLength(300 - holds.length);

    // What was refused left nothing behind: the seats that are held are those of the holds, in Redis and in MySQL.
    const expected = concert.seats.map((label) => (taken.includes(label) ? '1' : '0')).join('');
    await world.askEvery(`/api/concerts/${concert.id}/seatmap`, ({ body }) =>
      expect(body).toMatchObject({ states: expected }),
    );
    await world.untilStored(concert);
    const stored = await world.rowsOf('booking', 'bookings', concert);
    expect(stored.map(({ id }) => formatUuid(id as Buffer)).sort()).toEqual(holds.map(({ id }) => id).sort());
    const booked = (await world.rowsOf('booking', 'tickets', concert)).filter(({ status }) => status === 'booked');
    expect(booked.map(({ seat_number }) => seat_number).sort()).toEqual([...taken].sort());
  });

  test('one Idempotency-Key is one hold, whichever process gets it, at the same time and again', async () => {
    const concert = await world.createConcert();
    const fan = world.newFan();
    const ask = () => world.hold(concert, fan, concert.seats.slice(0, 2), { key: 'again', ownConnection });
    const replies = await Promise.all(Array.from({ length: 30 }, ask));
    expect(new Set(replies.map(world.answeredBy)).size).toBe(2);
    const first = granted(replies)[0];
    expect(granted(replies)).toEqual(replies.map(() => first));
    // Also when both processes know from the live log that the seats are taken: they are the fan's own.
    await world.askEvery(`/api/concerts/${concert.id}/seatmap`, ({ body }) =>
      expect(body).toMatchObject({ states: expect.stringMatching(/^110+$/) }),
    );
    expect(granted(await Promise.all(Array.from({ length: 10 }, ask)))).toEqual(
      Array.from({ length: 10 }, () => first),
    );
    await world.untilStored(concert);
    expect(await world.rowsOf('booking', 'bookings', concert)).toHaveLength(1);
  });

  test('what one process gives, the other reads and lets go', async () => {
    const concert = await world.createConcert();
    const fan = world.newFan();
    const [hold] = granted([await world.hold(concert, fan, concert.seats.slice(4, 6))]);
    const { token } = fan;
    const read = async () => {
      const { body } = await world.api.booking.call('GET', `/api/holds/${hold?.id}`, {
        token,
        headers: { connection: 'close' },
      });
      return body as z.infer<typeof holdDetailReply>;
    };
    expect(await Promise.all(Array.from({ length: 8 }, read))).toEqual(
      Array.from({ length: 8 }, () => ({ ...hold, phase: 'held' })),
    );
    // Whoever gets it, and however often: it has ended.
    for (let time = 0; time < 6; time += 1) {
      const headers = { connection: 'close' };
      expect((await world.api.booking.call('DELETE', `/api/holds/${hold?.id}`, { token, headers })).status).toBe(204);
    }
    expect(await read()).toEqual({ ...hold, phase: 'ended' });
    await world.askEvery(`/api/concerts/${concert.id}/seatmap`, ({ body }) =>
      expect(body).toMatchObject({ states: '0'.repeat(20) }),
    );
    expect(granted([await world.hold(concert, world.newFan(), concert.seats.slice(4, 6))])).toHaveLength(1);
  });

  test('a fan finds their bookings of every concert, newest first, a page at a time', async () => {
    const concerts = await Promise.all([1, 2, 3, 4].map(() => world.createConcert()));
    const fan = world.newFan();
    const made: string[] = [];
    for (let seat = 0; seat < 5; seat += 1) {
      for (const concert of concerts) {
        const [hold] = granted([await world.hold(concert, fan, concert.seats.slice(seat, seat + 1))]);
        if (hold) made.push(hold.id);
      }
    }
    await Promise.all(concerts.map((concert) => world.untilStored(concert)));
    const listed: z.infer<typeof bookingListReply>['items'] = [];
    for (let path = '/api/bookings?limit=3'; ; ) {
      const reply = await world.api.booking.call('GET', path, { token: fan.token, headers: { connection: 'close' } });
      const page = bookingListReply.parse(reply.body);
      expect(page.items.length).toBe(page.nextCursor === null ? 2 : 3);
      listed.push(...page.items);
      if (page.nextCursor === null) break;
      path = `/api/bookings?limit=3&cursor=${page.nextCursor}`;
    }
    expect(listed.map(({ id }) => id).sort()).toEqual([...made].sort());
    const times = listed.map(({ createdAt }) => createdAt);
    expect(times).toEqual([...times].sort().reverse());
    expect(new Set(listed.map(({ status }) => status))).toEqual(new Set(['pending']));
  });

  test('a hold that ran out ends by itself: its seats are free and its booking is cancelled', async () => {
    const { concert, fan, hold } = leaving;
    const { token } = fan;
    await until(async () => expect((await world.seatMap(concert)).states).toBe('0'.repeat(20)));
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(hold.expiresAt));
    await world.untilStored(concert);
    const { body } = await world.api.booking.call('GET', `/api/bookings/${hold.id}`, { token });
    expect(body).toEqual({ ...hold, status: 'cancelled', expiresAt: null, createdAt: expect.any(String) });
    expect(codeOf(await world.hold(concert, fan, concert.seats.slice(0, 1), { key: 'slow' }))).toBe('hold_expired');
  });
});

describe('control: without the guard', () => {
  let world: World;
  beforeAll(async () => {
    const env = { UNSAFE_WITHOUT_GUARDS: 'seats_free', TACTIC_EARLY_REFUSAL: 'off' };
    world = await startWorld({ ...onlyBooking, env });
  });
  afterAll(() => world?.stop());

  test('several fans get the same seat', async () => {
    const concert = await world.createConcert();
    const seats = concert.seats.slice(0, 1);
    const replies = await rush(
      world,
      concert,
      Array.from({ length: 500 }, () => ({ fan: world.newFan(), seats })),
    );
    expect(granted(replies).length).toBeGreaterThanOrEqual(2);
  });

  test('holds that cross overlap', async () => {
    const concert = await world.createConcert({ seatCount: 30 });
    const taken = seatsOf(granted(await rush(world, concert, crossingWishes(world, concert))));
    expect(new Set(taken).size).toBeLessThan(taken.length);
  });
});
