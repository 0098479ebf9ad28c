import { isConcertScopedId, isUuid } from '../ids.ts';
import { fail, ok, type Result } from '../result.ts';
import { type Phase, phaseSchema } from './hold.ts';

/**
 * One entry of a concert's log, as booking-service's Lua scripts write it (lua/common.lua, `encode_change`) and as the live
 * channel carries it: fields joined by `|`, in this order. Each entry has the whole booking, so the database can be rebuilt
 * to the last entry that reached it.
 */
export interface Change {
  /** `<epoch>-<n>`: dense and monotone; a gap means that something is missing. */
  epoch: number;
  n: number;
  kind: ChangeKind;
  booking: ChangedBooking | null;
  /** What this did to the booking's seats: their new state, or `-` for nothing. */
  seatState: SeatState | '-';
  /** Redis' clock when it happened. */
  atMs: number;
}
export interface ChangedBooking {
  id: string;
  userId: string;
  phase: Phase;
  /** Seat indexes, ascending. */
  seats: number[];
  totalMinor: number;
  expiresAtMs: number;
  /** The expiry before a payment extended it; where a declined payment returns to. */
  heldUntilMs: number;
  attempt: number;
  keyed: boolean;
  createdAtMs: number;
}

export const changeKinds = [
  'restored',
  'hold',
  'begin',
  'release_pay',
  'release',
  'settle',
  'cancel',
  'sweep',
] as const;
export type ChangeKind = (typeof changeKinds)[number];

/** The reason of a dead change whose seat belongs to another booking; the seats of such a loser are not set free. */
export const doubleSale = 'double_sale';

/** The state of a seat: one byte in `{id}:seats`, the same character in `states` of the seat map. */
export const seatStates = { free: '0', held: '1', sold: '2', blocked: '3' } as const;
export type SeatState = (typeof seatStates)[keyof typeof seatStates];

/** Orders changes of all epochs; also the seat map's version and its ETag. Exact up to epoch 2^21. */
export const versionOf = (epoch: number, n: number): number => epoch * 2 ** 32 + n;

const fieldCount = 13;
const number = (text: string | undefined): number =>
  text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;

/** @param id the stream id `<epoch>-<n>`; @param text the entry's field `c`. Fails with the reason when it is not a change. */
export function decodeChange(id: string, text: string): Result<Change, string> {
  const [epochText, nText] = id.split('-');
  const epoch = number(epochText);
  const n = number(nText);
  if (Number.isNaN(epoch) || Number.isNaN(n)) return fail(`not a log id: ${id}`);
  const fields = text.split('|');
  const kind = changeKinds.find((name) => name === fields[0]);
  if (kind === undefined) return fail(`unknown kind of change: ${text.slice(0, 40)}`);
  const atMs = number(fields[1]);
  if (Number.isNaN(atMs)) return fail('the time is not a number');
  if (kind === 'restored') return ok({ epoch, n, kind, booking: null, seatState: '-', atMs });
  if (fields.length !== fieldCount) return fail(`${fields.length} fields instead of ${fieldCount}`);
  const seatState = [...Object.values(seatStates), '-' as const].find((state) => state === fields[2]);
  const phase = phaseSchema.options.find((name) => name === fields[5]);
  const [id_, userId] = [fields[3] ?? '', fields[4] ?? ''];
  const booking = {
    id: id_,
    userId,
    totalMinor: number(fields[6]),
    expiresAtMs: number(fields[7]),
    heldUntilMs: number(fields[8]),
    attempt: number(fields[9]),
    keyed: fields[10] === '1',
    createdAtMs: number(fields[11]),
    seats: (fields[12] ?? '').split(',').map(number),
  };
  if (seatState === undefined) return fail('the seat state is not one');
  if (phase === undefined) return fail('the phase is not one');
  if (!isConcertScopedId(id_) || !isUuid(userId)) return fail('an id is not one');
  const numbers = [booking.totalMinor, booking.expiresAtMs, booking.heldUntilMs, booking.attempt, booking.createdAtMs];
  if ([...numbers, ...booking.seats].some(Number.isNaN)) return fail('a number is not one');
  return ok({ epoch, n, kind, seatState, atMs, booking: { ...booking, phase } });
}
