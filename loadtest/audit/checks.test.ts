import { expect, test } from 'vitest';
import { checks, runChecks } from './checks.ts';
import { bookingId, chargeId, consistentWorld, paymentId, refundId, userId } from './testing/planted.ts';
import type { World } from './world.ts';

/** One fault a row: what is done to a consistent world, which check must say so, and what it must name. */
const faults: { fault: string; plant: (world: World) => void; check: keyof typeof checks; names: string[] }[] = [
  {
    fault: 'a ticket row is missing',
    plant: ({ mysql }) => mysql.tickets.splice(3, 1),
    check: 'seat-counts',
    names: ['9 ticket rows for 10 seats'],
  },
  {
    fault: 'a sold seat has lost its ticket row',
    plant: ({ mysql }) => mysql.tickets.splice(0, 1),
    check: 'seat-owners',
    names: ['seat index 0', bookingId('a')],
  },
  {
    fault: 'available_tickets is wrong',
    plant: ({ mysql }) => {
      mysql.concert.availableTickets += 1;
    },
    check: 'seat-counts',
    names: ['available_tickets'],
  },
  {
    fault: 'a byte of Redis is wrong',
    plant: ({ redis }) => {
      redis.states = `0${redis.states?.slice(1)}`;
    },
    check: 'seat-states',
    names: ['A-1-1', bookingId('a'), 'Redis says free, MySQL says sold'],
  },
  {
    fault: 'a seat is sold, but nobody has it',
    plant: ({ redis, mysql }) => {
      redis.states = `${redis.states?.slice(0, 7)}2${redis.states?.slice(8)}`;
      for (const ticket of mysql.tickets) if (ticket.seatIndex === 7) ticket.status = 'sold';
    },
    check: 'seat-owners',
    names: ['A-1-8', 'of nobody'],
  },
  {
    fault: 'a seat is sold to two bookings',
    plant: ({ mysql }) => {
      for (const row of mysql.bookings) if (row.id === bookingId('f')) row.seats = [0];
    },
    check: 'one-owner',
    names: ['A-1-1', bookingId('a'), bookingId('f')],
  },
  {
    fault: 'the owner of a booking was swapped',
    plant: ({ mysql }) => {
      for (const row of mysql.bookings) if (row.id === bookingId('a')) row.userId = userId('b');
    },
    check: 'bookings-agree',
    names: [bookingId('a'), userId('a'), userId('b')],
  },
  {
    fault: 'a hold of Redis did not reach MySQL',
    plant: ({ mysql }) => {
      mysql.bookings = mysql.bookings.filter(({ id }) => id !== bookingId('b'));
    },
    check: 'bookings-agree',
    names: [bookingId('b'), 'is in Redis and not in MySQL'],
  },
  {
    fault: 'Redis has forgotten a live hold',
    plant: ({ redis }) => {
      redis.records = redis.records.filter(({ id }) => id !== bookingId('b'));
    },
    check: 'bookings-agree',
    names: [bookingId('b'), 'unknown to Redis'],
  },
  {
    fault: 'a booking_tickets row is missing',
    plant: ({ mysql }) => mysql.bookingTickets.splice(0, 1),
    check: 'booking-tickets',
    names: ['A-1-1', bookingId('a')],
  },
  {
    fault: 'booking_tickets gives a seat to another booking',
    plant: ({ mysql }) => {
      const [row] = mysql.bookingTickets;
      if (row) row.bookingId = bookingId('f');
    },
    check: 'booking-tickets',
    names: ['A-1-1', bookingId('f')],
  },
  {
    fault: 'a booking is not found under its user',
    plant: ({ mysql }) => mysql.userBookings.splice(0, 1),
    check: 'user-bookings',
    names: [bookingId('a'), userId('a')],
  },
  {
    fault: 'a fan has more seats than allowed',
    plant: ({ redis }) => {
      redis.seatsPerUserMax = 1;
    },
    check: 'fan-limit',
    names: [userId('a')],
  },
  {
    fault: 'the log has a gap',
    plant: ({ redis }) => redis.log.splice(4, 1),
    check: 'log-order',
    names: ['a gap between 3-3 and 3-5'],
  },
  {
    fault: 'the log takes a seat that somebody has',
    plant: ({ redis }) => {
      for (const entry of redis.log) {
        if ('change' in entry && entry.change.booking?.id === bookingId('b')) entry.change.booking.seats = [0];
      }
    },
    check: 'log-story',
    names: ['A-1-1', bookingId('a'), bookingId('b')],
  },
  {
    fault: 'a hold was swept before its time',
    plant: ({ redis }) => {
      for (const entry of redis.log) if ('change' in entry && entry.change.kind === 'sweep') entry.change.atMs -= 20;
    },
    check: 'log-story',
    names: [bookingId('c'), 'before its time'],
  },
  {
    fault: 'MySQL has an older version of a booking',
    plant: ({ mysql }) => {
      for (const row of mysql.bookings) if (row.id === bookingId('b')) row.version -= 1;
    },
    check: 'log-outcome',
    names: [bookingId('b'), 'version'],
  },
  {
    fault: 'the cursor is behind the log',
    plant: ({ mysql }) => {
      if (mysql.cursor) mysql.cursor.last.n = 5;
    },
    check: 'cursor',
    names: ['3-5'],
  },
  {
    fault: 'a change was put aside',
    plant: ({ mysql }) =>
      mysql.deadChanges.push({ id: '3-4', bookingId: bookingId('b'), reason: 'duplicate: planted' }),
    check: 'cursor',
    names: ['3-4', bookingId('b')],
  },
  {
    fault: 'a charge was doubled',
    plant: ({ ledger }) => {
      const charge = ledger.find(({ id }) => id === chargeId('f'));
      if (charge) ledger.push({ ...charge, id: chargeId('f', 2), key: `${paymentId('f')}:2` });
    },
    check: 'charges',
    names: [chargeId('f', 2), paymentId('f'), bookingId('f'), 'no seats'],
  },
  {
    fault: 'a charge without seats was not refunded',
    plant: ({ ledger }) => {
      for (const charge of ledger) charge.refunds = [];
    },
    check: 'charges',
    names: [chargeId('e'), bookingId('e')],
  },
  {
    fault: 'a fan has the seats and the money',
    plant: ({ ledger }) => {
      const refunds = ledger.find(({ id }) => id === chargeId('e'))?.refunds ?? [];
      for (const charge of ledger) if (charge.id === chargeId('f')) charge.refunds = refunds;
    },
    check: 'charges',
    names: [chargeId('f'), 'has its seats and 500'],
  },
  {
    fault: 'a charge that no payment knows',
    plant: ({ money }) => {
      money.payments = money.payments.filter(({ id }) => id !== paymentId('f'));
    },
    check: 'charges',
    names: [chargeId('f'), 'payment unknown'],
  },
  {
    fault: 'more was refunded than captured',
    plant: ({ ledger }) => {
      for (const { refunds } of ledger) for (const refund of refunds) refund.amountMinor += 1;
    },
    check: 'refunds',
    names: [chargeId('e'), '501 was refunded of 500'],
  },
  {
    fault: 'the provider refunded what we do not know of',
    plant: ({ money }) => {
      money.refunds = [];
    },
    check: 'refunds',
    names: [refundId('e')],
  },
  {
    fault: 'a payment never came to an end',
    plant: ({ money }) => {
      for (const payment of money.payments) if (payment.id === paymentId('b')) payment.status = 'pending';
    },
    check: 'payments',
    names: [paymentId('b'), bookingId('b')],
  },
  {
    fault: 'a confirmed booking was not paid',
    plant: ({ money }) => {
      for (const payment of money.payments) if (payment.id === paymentId('a')) payment.status = 'failed';
    },
    check: 'sold-is-paid',
    names: [bookingId('a'), paymentId('a')],
  },
  {
    fault: 'a 201 was lost',
    plant: ({ clients, mysql, redis }) => {
      mysql.bookings = mysql.bookings.filter(({ id }) => id !== bookingId('c'));
      redis.records = redis.records.filter(({ id }) => id !== bookingId('c'));
      expect(clients?.some((event) => event.e === 'hold' && event.id === bookingId('c'))).toBe(true);
    },
    check: 'accepted-holds',
    names: [bookingId('c'), 'A-1-4', userId('c')],
  },
  {
    fault: 'a hold ended before its time and was not let go',
    plant: ({ mysql }) => {
      for (const row of mysql.bookings) if (row.id === bookingId('c') && row.endedAtMs) row.endedAtMs -= 1_000;
    },
    check: 'accepted-holds',
    names: [bookingId('c'), 'before its time'],
  },
  {
    fault: 'a confirmation was taken back',
    plant: ({ mysql }) => {
      for (const row of mysql.bookings) if (row.id === bookingId('f')) row.phase = 'ended';
    },
    check: 'confirmations',
    names: [bookingId('f'), paymentId('f')],
  },
];

test('a consistent world has no violation, and every check had something to look at', () => {
  for (const [name, { examined, violations }] of Object.entries(runChecks(consistentWorld()))) {
    expect(violations, name).toEqual([]);
    expect(examined, name).toBeGreaterThan(0);
  }
});

test.each(faults)('$fault: $check says so', ({ plant, check, names }) => {
  const world = consistentWorld();
  plant(world);
  const said = runChecks(world)[check]?.violations.map(({ message, ids }) => `${message} ${ids.join(' ')}`) ?? [];
  expect(said.length).toBeGreaterThan(0);
  for (const name of names) expect(said.join('\n')).toContain(name);
});

test('every check has a fault that it finds', () => {
  expect(Object.keys(checks).filter((name) => !faults.some(({ check }) => check === name))).toEqual([]);
});

test('a hold that a lost Redis took with it is excused by the recovery after it, an earlier recovery excuses nothing', () => {
  const world = consistentWorld();
  world.mysql.bookings = world.mysql.bookings.filter(({ id }) => id !== bookingId('c'));
  world.redis.records = world.redis.records.filter(({ id }) => id !== bookingId('c'));
  expect(runChecks(world)['accepted-holds']?.violations).toHaveLength(1);
  const [restored] = world.redis.log;
  if (restored && 'change' in restored) restored.change.atMs += 3_600_000;
  expect(runChecks(world)['accepted-holds']?.violations).toEqual([]);
});
