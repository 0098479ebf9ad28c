import {
  type Change,
  type ChangeKind,
  type SeatState,
  seatStates,
  versionOf,
} from '@frontrow/shared/contracts/change.ts';
import { type Phase, statusOfPhase } from '@frontrow/shared/contracts/hold.ts';
import type { PaymentStatus } from '@frontrow/shared/contracts/payment.ts';
import type { LedgerItem } from '@frontrow/shared/contracts/provider.ts';
import type { BookingRow, TicketStatus, World } from '../world.ts';

export const concertId = 7;
const epoch = 3;
const ttlMs = 30_000;
const priceMinor = 500;
const startMs = Date.UTC(2026, 10, 23, 12);

/** Ids that a reader of a failing test can tell apart: the letter stands at the end. */
export const bookingId = (letter: string): string => `00000007-0000-8000-8000-00000000000${letter}`;
export const paymentId = (letter: string): string => `00000007-0000-8000-8001-00000000000${letter}`;
export const userId = (letter: string): string => `018bcfe5-6800-7000-8000-00000000000${letter}`;
export const chargeId = (letter: string, attempt = 1): string => `ch_${letter.padStart(23, '0')}${attempt}`;
export const refundId = (letter: string, n = 1): string => `re_${letter.padStart(23, '0')}${n}`;

/**
 * A concert of ten seats on which everything has happened once, told the same way by everybody:
 * a  two seats, sold and paid at the second attempt     b  one seat, held; its payment was declined
 * c  its time ran out                                   d  let go by its fan
 * e  paid too late, somebody else had the seat: lost and refunded     f  the one who had it, sold and paid
 */
export function consistentWorld(): World {
  const story = new Story(10, [9]);
  story.hold('a', [0, 1]);
  story.pay('a', 'failed');
  story.pay('a', 'completed');
  story.hold('b', [2]);
  story.pay('b', 'failed');
  story.hold('c', [3]);
  story.end('c', 'sweep');
  story.hold('d', [4, 5]);
  story.end('d', 'release');
  story.hold('e', [6]);
  story.end('e', 'sweep');
  story.hold('f', [6]);
  story.pay('f', 'completed');
  story.pay('e', 'refunded');
  // Witnesses share nothing: a fault planted in one must not reach another.
  const world: World = JSON.parse(JSON.stringify(story.world()));
  return world;
}

/** Tells one story to every witness. */
class Story {
  readonly #world: World;
  readonly #seats: SeatState[];
  readonly #bookings = new Map<string, BookingRow>();
  #nowMs = startMs;

  constructor(seatCount: number, blocked: readonly number[]) {
    this.#seats = Array.from({ length: seatCount }, (_, seat) =>
      blocked.includes(seat) ? seatStates.blocked : seatStates.free,
    );
    const restored: Change = { epoch, n: 0, kind: 'restored', booking: null, seatState: '-', atMs: startMs };
    this.#world = {
      concertId,
      redis: {
        states: '',
        records: [],
        log: [{ id: `${epoch}-0`, change: restored }],
        lastId: null,
        epoch,
        seatsPerUserMax: 8,
      },
      mysql: {
        concert: { totalTickets: seatCount, availableTickets: 0, currency: 'IDR' },
        tickets: [],
        bookings: [],
        bookingTickets: [],
        cursor: null,
        deadChanges: [],
        userBookings: [],
      },
      money: { payments: [], attempts: [], refunds: [] },
      ledger: [],
      clients: [],
    };
  }

  hold(letter: string, seats: number[]): void {
    const expiresAtMs = this.#nowMs + ttlMs;
    this.#bookings.set(letter, {
      id: bookingId(letter),
      userId: userId(letter),
      phase: 'held',
      status: 'pending',
      seats,
      totalMinor: seats.length * priceMinor,
      expiresAtMs,
      heldUntilMs: expiresAtMs,
      attempt: 0,
      endedAtMs: null,
      version: 0,
    });
    this.#change('hold', letter, 'held', seatStates.held);
    this.#world.clients?.push({
      e: 'hold',
      at: this.#nowMs,
      user: userId(letter),
      id: bookingId(letter),
      seats: seats.map(labelOf),
      totalMinor: seats.length * priceMinor,
      expiresAt: new Date(expiresAtMs).toISOString(),
    });
  }

  end(letter: string, kind: 'sweep' | 'release'): void {
    if (kind === 'sweep') this.#nowMs += ttlMs;
    else this.#world.clients?.push({ e: 'released', at: this.#nowMs, id: bookingId(letter) });
    this.#change(kind, letter, 'ended', seatStates.free);
  }

  /** One attempt, from `begin` to its end; `refunded` is money that came after the hold had ended. */
  pay(letter: string, outcome: Extract<PaymentStatus, 'failed' | 'completed' | 'refunded'>): void {
    const booking = this.#booking(letter);
    const { money } = this.#world;
    const id = paymentId(letter);
    const attempt = booking.attempt + 1;
    const charge = chargeId(letter, attempt);
    booking.attempt = attempt;
    if (booking.phase === 'held') this.#change('begin', letter, 'paying', seatStates.held);
    const isCaptured = outcome !== 'failed';
    const settled = { completed: ['sold', seatStates.sold], refunded: ['lost', '-'], failed: null } as const;
    const move = settled[outcome];
    if (move === null) this.#change('release_pay', letter, 'held', seatStates.held);
    else this.#change('settle', letter, move[0], move[1]);

    const status = isCaptured ? 'captured' : 'failed';
    money.attempts.push({ paymentId: id, attempt, status, chargeId: charge });
    money.payments = money.payments.filter((payment) => payment.id !== id);
    money.payments.push({
      id,
      bookingId: booking.id,
      userId: booking.userId,
      seats: booking.seats,
      amountMinor: booking.totalMinor,
      currency: 'IDR',
      status: outcome,
      attempt,
      transactionId: isCaptured ? charge : null,
    });
    this.#world.ledger.push(this.#charge(letter, attempt, outcome));
    if (outcome === 'completed') {
      this.#world.clients?.push({ e: 'confirmed', at: this.#nowMs, id: booking.id, payment: id });
    }
    if (outcome === 'refunded') {
      const row = { paymentId: id, n: 1, chargeId: charge, amountMinor: booking.totalMinor };
      money.refunds.push({ ...row, status: 'done', providerRefundId: refundId(letter) });
    }
  }

  world(): World {
    const world = this.#world;
    const bookings = [...this.#bookings.values()];
    const lastId = { epoch, n: world.redis.log.length - 1 };
    world.redis.states = this.#seats.join('');
    world.redis.lastId = lastId;
    world.redis.records = bookings.map(({ status: _, endedAtMs: __, version: ___, ...record }) => record);
    world.mysql.bookings = bookings;
    world.mysql.cursor = { epoch, last: lastId };
    world.mysql.userBookings = bookings.map(({ id, userId: user }) => ({ userId: user, bookingId: id }));
    world.mysql.bookingTickets = bookings
      .filter(({ phase }) => phase === 'sold')
      .flatMap(({ id, seats }) => seats.map((seatIndex) => ({ bookingId: id, seatIndex })));
    const statuses: readonly TicketStatus[] = ['available', 'booked', 'sold', 'blocked'];
    world.mysql.tickets = this.#seats.map((state, seatIndex) => ({
      seatIndex,
      label: labelOf(seatIndex),
      status: statuses[Number(state)] ?? 'blocked',
    }));
    world.mysql.concert.availableTickets = this.#seats.filter((state) => state === seatStates.free).length;
    return world;
  }

  #booking(letter: string): BookingRow {
    const booking = this.#bookings.get(letter);
    if (!booking) throw new Error(`there is no booking ${letter}`);
    return booking;
  }

  #change(kind: ChangeKind, letter: string, phase: Phase, seatState: SeatState | '-'): void {
    this.#nowMs += 1;
    const booking = this.#booking(letter);
    const n = this.#world.redis.log.length;
    booking.phase = phase;
    booking.status = statusOfPhase[phase];
    booking.version = versionOf(epoch, n);
    booking.endedAtMs = booking.status === 'cancelled' ? (booking.endedAtMs ?? this.#nowMs) : null;
    if (seatState !== '-') for (const seat of booking.seats) this.#seats[seat] = seatState;
    const { id, userId: user, seats, totalMinor, expiresAtMs, heldUntilMs, attempt } = booking;
    const told = {
      id,
      userId: user,
      phase,
      seats,
      totalMinor,
      expiresAtMs,
      heldUntilMs,
      attempt,
      keyed: true,
      createdAtMs: startMs,
    };
    const change: Change = { epoch, n, kind, seatState, atMs: this.#nowMs, booking: told };
    this.#world.redis.log.push({ id: `${epoch}-${n}`, change });
  }

  #charge(letter: string, attempt: number, outcome: 'failed' | 'completed' | 'refunded'): LedgerItem {
    const { totalMinor } = this.#booking(letter);
    const [id, createdAt] = [chargeId(letter, attempt), new Date(this.#nowMs).toISOString()];
    const key = `${paymentId(letter)}:${attempt}`;
    const refund = {
      id: refundId(letter),
      key: `refund:${paymentId(letter)}:1`,
      chargeId: id,
      amountMinor: totalMinor,
    };
    return {
      id,
      key,
      status: outcome === 'failed' ? 'declined' : 'succeeded',
      amountMinor: totalMinor,
      currency: 'IDR',
      paymentMethod: outcome === 'failed' ? 'pm_declined' : 'pm_ok',
      metadata: { concertId, paymentId: paymentId(letter), bookingId: bookingId(letter) },
      createdAt,
      refunds: outcome === 'refunded' ? [{ ...refund, status: 'succeeded', currency: 'IDR', createdAt }] : [],
    };
  }
}

const labelOf = (seat: number): string => `A-1-${seat + 1}`;
