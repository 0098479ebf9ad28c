import { sleep } from 'k6';
import encoding from 'k6/encoding';
import { Trend } from 'k6/metrics';
import type { FanOutcome } from '../client-event.ts';
import { type Layout, pickSeats, readSeatMap } from './concert.ts';
import { bodyOf, del, get, post } from './http.ts';
import { record } from './record.ts';
import { settings } from './settings.ts';

const holdMs = new Trend('hold_ms', true);
const paymentMs = new Trend('payment_ms', true);
/** From the payment's POST until the fan sees the booking confirmed; polled, so a poll's pause too long at most. */
const confirmedMs = new Trend('confirmed_ms', true);

interface Hold {
  id: string;
  seats: string[];
  totalMinor: number;
  expiresAt: string;
}
interface Payment {
  id: string;
  status: 'pending' | 'failed' | 'completed' | 'refunded';
}

const { bookingUrl, paymentUrl, concertId, holdTtlMs } = settings;
/** Clashes with other fans that one fan takes before giving up. */
const clashesMax = 6;
/** Looks at a full hall before leaving: holds that run out come back. */
const looksMax = 3;
const confirmWithinMs = 60_000;
/** A card is typed in a few seconds, well within the hold's time. */
const typingSMax = Math.min(6, holdTtlMs / 4_000);

const between = (min: number, max: number): number => min + Math.random() * (max - min);

/** Split once in each virtual user. */
let labels: string[] | undefined;

/** One fan, from the arrival to the end. @param number makes the Idempotency-Keys of this fan its own. */
export function liveAsFan(number: number, token: string, layout: Layout): FanOutcome {
  labels ??= layout.split(' ');
  const hold = getSeats(number, token, labels);
  if (hold === null) return 'found_no_seat';
  const mind = Math.random();
  if (mind < 0.06) return 'walked_away';
  sleep(between(0.5, typingSMax));
  if (mind < 0.08) return letGo(token, hold);
  return buy(number, token, hold);
}

function getSeats(number: number, token: string, seatLabels: readonly string[]): Hold | null {
  const user = userOf(token);
  const wanted = pickQuantity();
  let [clashes, looks] = [0, 0];
  while (clashes < clashesMax && looks < looksMax) {
    const map = readSeatMap(bookingUrl, concertId);
    if (map === null) return null;
    const seats = pickSeats(map.states, seatLabels, wanted);
    if (seats.length === 0) {
      looks += 1;
      // With nothing held, nothing can come back.
      if (!map.states.includes('1')) return null;
      if (looks < looksMax) sleep(between(0.7, 1.5));
      continue;
    }
    const key = `rush-${number}-${clashes}`;
    const url = `${bookingUrl}/api/concerts/${concertId}/holds`;
    const answer = post(url, { name: 'hold', token, key, body: { seats }, trend: holdMs });
    if (answer.status === 201) {
      const hold = bodyOf<Hold>(answer);
      const { id, totalMinor, expiresAt } = hold;
      record({ e: 'hold', at: Date.now(), user, id, seats: hold.seats, totalMinor, expiresAt });
      return hold;
    }
    record({ e: 'refused', at: Date.now(), code: answer.code });
    if (answer.code === 'sold_out') return null;
    clashes += 1;
    sleep(between(0.05, 0.3));
  }
  return null;
}

function letGo(token: string, { id }: Hold): FanOutcome {
  const { status, code } = del(`${bookingUrl}/api/holds/${id}`, { name: 'release', token });
  if (status === 204) record({ e: 'released', at: Date.now(), id });
  else record({ e: 'unexpected', at: Date.now(), call: 'release', status, code });
  return status === 204 ? 'let_go' : 'error';
}

function buy(number: number, token: string, hold: Hold): FanOutcome {
  const first = pickMethod();
  const outcome = pay(`rush-${number}-1`, token, hold, first);
  // Whose card was declined tries another one.
  return outcome === 'payment_failed' && first === 'pm_declined'
    ? pay(`rush-${number}-2`, token, hold, 'pm_ok')
    : outcome;
}

function pay(key: string, token: string, { id }: Hold, method: string): FanOutcome {
  const startedMs = Date.now();
  const body = { bookingId: id, paymentMethod: method };
  const answer = post(`${paymentUrl}/api/payments`, { name: 'payment', token, key, body, trend: paymentMs });
  if (answer.status !== 202) {
    record({ e: 'refused', at: Date.now(), code: `payment_${answer.code}` });
    return answer.code === 'hold_expired' ? 'payment_failed' : 'error';
  }
  const payment = bodyOf<Payment>(answer);
  record({ e: 'payment', at: Date.now(), id, payment: payment.id, method });

  for (let pauseS = 0.25; Date.now() - startedMs < confirmWithinMs; pauseS = Math.min(pauseS * 1.5, 1.5)) {
    sleep(pauseS);
    const seen = get(`${paymentUrl}/api/payments/${payment.id}`, { name: 'payment_status', token });
    const status = seen.status === 200 ? bodyOf<Payment>(seen).status : 'pending';
    if (status === 'failed') {
      record({ e: 'declined', at: Date.now(), id });
      return 'payment_failed';
    }
    if (status === 'refunded') return 'payment_failed';
    if (status === 'completed' && isConfirmed(token, id)) {
      confirmedMs.add(Date.now() - startedMs);
      record({ e: 'confirmed', at: Date.now(), id, payment: payment.id });
      return 'bought';
    }
  }
  return 'payment_open';
}

function isConfirmed(token: string, id: string): boolean {
  const answer = get(`${bookingUrl}/api/bookings/${id}`, { name: 'booking', token });
  return answer.status === 200 && bodyOf<{ status: string }>(answer).status === 'confirmed';
}

/** Most come in pairs. */
function pickQuantity(): number {
  const dice = Math.random();
  return dice < 0.3 ? 1 : dice < 0.75 ? 2 : dice < 0.9 ? 3 : 4;
}

/** The sandbox provider's test methods: most work, some are declined, some behave as real providers sometimes do. */
function pickMethod(): string {
  const dice = Math.random();
  if (dice < 0.05) return 'pm_declined';
  if (dice < 0.065) return 'pm_pending';
  if (dice < 0.08) return 'pm_duplicate';
  if (dice < 0.09) return 'pm_reordered';
  if (dice < 0.1) return 'pm_timeout';
  return 'pm_ok';
}

/** The subject of an access token. */
function userOf(token: string): string {
  const claims = encoding.b64decode(token.split('.')[1] ?? '', 'rawurl', 's');
  return (JSON.parse(claims) as { sub: string }).sub;
}
