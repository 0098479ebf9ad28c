import { type SeatState, seatStates } from '@frontrow/shared/contracts/change.ts';
import type { CheckResult, Violation } from './check.ts';
import { type BookingRecord, isLive, type TicketStatus, type World } from './world.ts';

const stateOfTicket: Readonly<Record<TicketStatus, SeatState>> = {
  available: seatStates.free,
  booked: seatStates.held,
  sold: seatStates.sold,
  blocked: seatStates.blocked,
};
const stateNames = ['free', 'held', 'sold', 'blocked'] as const;
const nameOfState = (state: string | undefined): string =>
  stateNames.find((name) => seatStates[name] === state) ?? (state === undefined ? 'nothing' : `"${state}"`);

/** Invariant 6: sold + held + free + blocked = the layout's seats, in Redis and in MySQL. */
export function seatCountsCheck({ redis, mysql }: World): CheckResult {
  const violations: Violation[] = [];
  const total = mysql.concert.totalTickets;
  const say = (message: string) => violations.push({ message, ids: [] });
  if (redis.states === null) say('Redis has no state of this concert');
  if (mysql.tickets.length !== total) say(`MySQL has ${mysql.tickets.length} ticket rows for ${total} seats`);
  if (redis.states !== null && redis.states.length !== total) say(`Redis has ${redis.states.length} seats of ${total}`);

  let sum = 0;
  for (const name of stateNames) {
    const inRedis = [...(redis.states ?? '')].filter((state) => state === seatStates[name]).length;
    const inMysql = mysql.tickets.filter(({ status }) => stateOfTicket[status] === seatStates[name]).length;
    sum += inRedis;
    if (redis.states !== null && inRedis !== inMysql) say(`${name}: ${inRedis} seats in Redis, ${inMysql} in MySQL`);
  }
  if (redis.states !== null && sum !== total) say(`Redis: free + held + sold + blocked is ${sum}, not ${total}`);
  const available = mysql.tickets.filter(({ status }) => status === 'available').length;
  if (available !== mysql.concert.availableTickets) {
    say(`concerts.available_tickets is ${mysql.concert.availableTickets}, but ${available} tickets are available`);
  }
  return { examined: total, violations };
}

/** The byte of each seat is the status of its ticket. */
export function seatStatesCheck(world: World): CheckResult {
  const { redis, mysql } = world;
  const claims = claimsBySeat([...redis.records, ...mysql.bookings]);
  const violations = mysql.tickets.flatMap(({ seatIndex, label, status }): Violation[] => {
    const byte = redis.states?.[seatIndex];
    if (byte === stateOfTicket[status]) return [];
    const message = `seat ${label}: Redis says ${nameOfState(byte)}, MySQL says ${status}`;
    return [{ message, seat: label, ids: idsOf(claims.get(seatIndex)) }];
  });
  return { examined: mysql.tickets.length, violations };
}

/** A held seat has one booking that is held or paying, a sold one has one that is sold, any other has none. */
export function seatOwnersCheck(world: World): CheckResult {
  const { redis, mysql } = world;
  const violations: Violation[] = [];
  const sources = [
    { place: 'Redis', claims: claimsBySeat(redis.records), stateOf: (seat: number) => redis.states?.[seat] },
    { place: 'MySQL', claims: claimsBySeat(mysql.bookings), stateOf: ticketStates(world) },
  ];
  const labels = seatLabels(world);
  for (const { place, claims, stateOf } of sources) {
    for (const [seat, label] of labels) {
      const owners = claims.get(seat) ?? [];
      const wanted = wantedClaim(stateOf(seat));
      const says = owners.map(({ phase, id }) => `${phase} by ${id}`).join(' and ') || 'of nobody';
      const fits = wanted === null ? owners.length === 0 : owners.length === 1 && owners.every(wanted);
      if (fits) continue;
      const message = `seat ${label}: ${place} has it as ${nameOfState(stateOf(seat))}, and its bookings say ${says}`;
      violations.push({ message, seat: label, ids: idsOf(owners) });
    }
    for (const seat of claims.keys()) {
      if (labels.has(seat)) continue;
      violations.push({
        message: `seat index ${seat} has no ticket row, and ${place} has a live booking of it`,
        seat: `#${seat}`,
        ids: idsOf(claims.get(seat)),
      });
    }
  }
  return { examined: labels.size * sources.length, violations };
}

/** Invariant 1: no seat in two live bookings, wherever the two are written. */
export function oneOwnerCheck(world: World): CheckResult {
  const { redis, mysql } = world;
  const labels = seatLabels(world);
  const violations: Violation[] = [];
  for (const [seat, claims] of claimsBySeat([...redis.records, ...mysql.bookings])) {
    const ids = idsOf(claims);
    if (ids.length < 2) continue;
    const label = labels.get(seat) ?? `#${seat}`;
    violations.push({
      message: `seat ${label} is in ${ids.length} live bookings: ${ids.join(', ')}`,
      seat: label,
      ids,
    });
  }
  return { examined: mysql.tickets.length, violations };
}

export const seatLabels = ({ mysql }: World): Map<number, string> =>
  new Map(mysql.tickets.map(({ seatIndex, label }) => [seatIndex, label]));

function wantedClaim(state: string | undefined): ((booking: BookingRecord) => boolean) | null {
  if (state === seatStates.sold) return ({ phase }) => phase === 'sold';
  if (state === seatStates.held) return ({ phase }) => phase === 'held' || phase === 'paying';
  return null;
}

function ticketStates({ mysql }: World): (seat: number) => string | undefined {
  const states = new Map(mysql.tickets.map(({ seatIndex, status }) => [seatIndex, stateOfTicket[status]]));
  return (seat) => states.get(seat);
}

/** Live bookings by seat; a booking that two sources have stands there twice. */
function claimsBySeat(bookings: readonly BookingRecord[]): Map<number, BookingRecord[]> {
  const claims = new Map<number, BookingRecord[]>();
  for (const booking of bookings.filter(isLive)) {
    for (const seat of booking.seats) {
      const known = claims.get(seat);
      if (known) known.push(booking);
      else claims.set(seat, [booking]);
    }
  }
  return claims;
}

const idsOf = (bookings: readonly BookingRecord[] = []): string[] => [...new Set(bookings.map(({ id }) => id))];
