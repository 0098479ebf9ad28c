import { concertIdOf } from '@frontrow/shared/ids.ts';
import type { CheckResult, Violation } from './check.ts';
import { seatLabels } from './checks-seats.ts';
import { type BookingRecord, isLive, seatList, type World } from './world.ts';

const comparedFields = ['userId', 'phase', 'totalMinor', 'expiresAtMs', 'heldUntilMs', 'attempt'] as const;

/** What differs between two tellings of one booking, as `field: a, b`. */
export function differences(a: BookingRecord, b: BookingRecord): string[] {
  const fields = comparedFields.filter((field) => a[field] !== b[field]);
  const said = fields.map((field) => `${field}: ${a[field]}, ${b[field]}`);
  if (seatList(a.seats) !== seatList(b.seats)) said.push(`seats: ${seatList(a.seats)}; ${seatList(b.seats)}`);
  return said;
}

/**
 * Redis' record and MySQL's row of a booking say the same; a live booking is in both. Redis forgets ended ones after a
 * time, MySQL never does.
 */
export function bookingsAgreeCheck({ concertId, redis, mysql }: World): CheckResult {
  const violations: Violation[] = [];
  const rows = new Map(mysql.bookings.map((row) => [row.id, row]));
  const records = new Map(redis.records.map((record) => [record.id, record]));
  for (const record of redis.records) {
    const row = rows.get(record.id);
    const ids = [record.id, record.userId];
    if (!row) {
      violations.push({ message: `booking ${record.id} (${record.phase}) is in Redis and not in MySQL`, ids });
      continue;
    }
    const said = differences(record, row);
    if (said.length === 0) continue;
    const message = `booking ${record.id}: Redis and MySQL differ (${said.join('; ')})`;
    violations.push({ message, ids: [...new Set([...ids, row.userId])] });
  }
  for (const row of mysql.bookings) {
    if (isLive(row) && !records.has(row.id)) {
      const message = `booking ${row.id} (${row.phase}) is live in MySQL and unknown to Redis`;
      violations.push({ message, ids: [row.id, row.userId] });
    }
    if (concertIdOf(row.id) !== concertId) {
      violations.push({ message: `booking ${row.id} is an id of concert ${concertIdOf(row.id)}`, ids: [row.id] });
    }
  }
  return { examined: new Set([...rows.keys(), ...records.keys()]).size, violations };
}

/** booking_tickets is exactly the seats of the confirmed bookings. */
export function bookingTicketsCheck(world: World): CheckResult {
  const { mysql } = world;
  const labels = seatLabels(world);
  const rows = new Map(mysql.bookings.map((row) => [row.id, row]));
  const have = new Set(mysql.bookingTickets.map(({ bookingId, seatIndex }) => `${bookingId} ${seatIndex}`));
  const violations: Violation[] = [];
  const say = (seat: number, bookingId: string, text: string) => {
    const label = labels.get(seat) ?? `#${seat}`;
    violations.push({ message: `seat ${label}, booking ${bookingId}: ${text}`, seat: label, ids: [bookingId] });
  };
  for (const { bookingId, seatIndex } of mysql.bookingTickets) {
    const row = rows.get(bookingId);
    if (!row) say(seatIndex, bookingId, 'booking_tickets names a booking that does not exist');
    else if (row.phase !== 'sold')
      say(seatIndex, bookingId, `booking_tickets has a row, but the booking is ${row.phase}`);
    else if (!row.seats.includes(seatIndex))
      say(seatIndex, bookingId, 'booking_tickets has a seat that is not of this booking');
  }
  const sold = mysql.bookings.filter(({ phase }) => phase === 'sold');
  for (const { id, seats } of sold) {
    for (const seat of seats) {
      if (!have.has(`${id} ${seat}`))
        say(seat, id, 'the booking is confirmed, but booking_tickets has no row of this seat');
    }
  }
  const soldSeats = sold.reduce((sum, { seats }) => sum + seats.length, 0);
  return { examined: Math.max(soldSeats, mysql.bookingTickets.length), violations };
}

/** Each booking is found under its user, and nothing else is. */
export function userBookingsCheck({ mysql }: World): CheckResult {
  const have = new Set(mysql.userBookings.map(({ userId, bookingId }) => `${userId} ${bookingId}`));
  const wanted = new Set(mysql.bookings.map(({ userId, id }) => `${userId} ${id}`));
  const violations = [
    ...[...wanted].filter((pair) => !have.has(pair)).map((pair) => missingPair(pair, 'is not in user_bookings')),
    ...[...have].filter((pair) => !wanted.has(pair)).map((pair) => missingPair(pair, 'is in user_bookings only')),
  ];
  return { examined: wanted.size, violations };
}

function missingPair(pair: string, what: string): Violation {
  const [userId = '', bookingId = ''] = pair.split(' ');
  return { message: `booking ${bookingId} of user ${userId} ${what}`, ids: [bookingId, userId] };
}

/** No fan has more live seats than the concert allows. */
export function fanLimitCheck({ redis, mysql }: World): CheckResult {
  const max = redis.seatsPerUserMax;
  const seats = new Map<string, number>();
  for (const row of mysql.bookings.filter(isLive)) {
    seats.set(row.userId, (seats.get(row.userId) ?? 0) + row.seats.length);
  }
  const violations = [...seats]
    .filter(([, count]) => max !== null && count > max)
    .map(([userId, count]) => ({ message: `user ${userId} has ${count} live seats of at most ${max}`, ids: [userId] }));
  return { examined: seats.size, violations };
}
