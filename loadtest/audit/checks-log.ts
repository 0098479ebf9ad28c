import {
  type Change,
  type ChangedBooking,
  type ChangeKind,
  seatStates,
  versionOf,
} from '@frontrow/shared/contracts/change.ts';
import type { Phase } from '@frontrow/shared/contracts/hold.ts';
import type { CheckResult, Violation } from './check.ts';
import { differences } from './checks-bookings.ts';
import { seatLabels } from './checks-seats.ts';
import { compareLogIds, logIdText, type World } from './world.ts';

type BookingChange = Change & { booking: ChangedBooking };

const changesOf = ({ redis }: World): Change[] =>
  redis.log.flatMap((entry) => ('change' in entry ? [entry.change] : []));
const bookingChangesOf = (world: World): BookingChange[] =>
  changesOf(world).flatMap((change) => (change.booking === null ? [] : [{ ...change, booking: change.booking }]));

/** The log is dense and of one epoch, every entry can be read, and only an epoch's first entry says `restored`. */
export function logOrderCheck(world: World): CheckResult {
  const { redis } = world;
  const violations: Violation[] = [];
  const say = (message: string) => violations.push({ message, ids: [] });
  for (const entry of redis.log) if ('fault' in entry) say(`log entry ${entry.id} cannot be read: ${entry.fault}`);
  let before: Change | undefined;
  for (const change of changesOf(world)) {
    const id = logIdText(change);
    if (redis.epoch !== null && change.epoch !== redis.epoch) say(`log entry ${id} is not of epoch ${redis.epoch}`);
    if (before && compareLogIds(change, { epoch: before.epoch, n: before.n + 1 }) !== 0) {
      say(`the log has a gap between ${logIdText(before)} and ${id}`);
    }
    if ((change.kind === 'restored') !== (change.n === 0)) say(`log entry ${id} is a ${change.kind}`);
    before = change;
  }
  if (before && redis.lastId && compareLogIds(before, redis.lastId) !== 0) {
    say(`the log's last id is ${logIdText(redis.lastId)}, but its last entry is ${logIdText(before)}`);
  }
  return { examined: redis.log.length, violations };
}

/** From which phases each change can come; `none` is a booking that the kept log had not named before. */
const phasesBefore: Readonly<Record<Exclude<ChangeKind, 'restored'>, readonly (Phase | 'none')[]>> = {
  hold: ['none', 'ended'],
  begin: ['none', 'held', 'paying'],
  release_pay: ['none', 'paying'],
  release: ['none', 'held'],
  sweep: ['none', 'held', 'paying'],
  settle: ['none', 'held', 'paying', 'ended'],
  cancel: ['none', 'held', 'paying', 'sold', 'ended'],
};

/**
 * The kept log, replayed: every change was possible when it happened. What was before the first kept entry is unknown,
 * so the first change of a seat or a booking is taken at its word; each later one must fit.
 */
export function logStoryCheck(world: World): CheckResult {
  const violations: Violation[] = [];
  const labels = seatLabels(world);
  const owners = new Map<number, string | null>();
  const bookings = new Map<string, ChangedBooking>();
  const changes = bookingChangesOf(world);
  for (const change of changes) {
    const { booking, kind, seatState } = change;
    const known = bookings.get(booking.id);
    const said = faultOfMove(change, known);
    if (said)
      violations.push({
        message: `log entry ${logIdText(change)} (${kind} of ${booking.id}): ${said}`,
        ids: [booking.id],
      });
    bookings.set(booking.id, booking);
    if (seatState === '-') continue;
    for (const seat of booking.seats) {
      const owner = owners.get(seat);
      // A seat that nobody has may be taken by `hold`, and by `settle` of captured money; by nothing else.
      const isTaking = kind === 'hold' || kind === 'settle';
      const fits = owner === undefined || owner === booking.id || (owner === null && isTaking);
      if (!fits) {
        const label = labels.get(seat) ?? `#${seat}`;
        const had = owner ?? 'nobody';
        const message = `log entry ${logIdText(change)}: ${kind} of ${booking.id} changed seat ${label}, which ${had} had`;
        violations.push({ message, seat: label, ids: [booking.id, ...(owner ? [owner] : [])] });
      }
      owners.set(seat, seatState === seatStates.free ? null : booking.id);
    }
  }
  return { examined: changes.length, violations };
}

function faultOfMove({ kind, booking, atMs }: BookingChange, known: ChangedBooking | undefined): string | null {
  if (kind === 'restored') return 'a restored entry carries a booking';
  const from = known?.phase ?? 'none';
  if (!phasesBefore[kind].includes(from)) return `it cannot come after ${from}`;
  if (known && known.userId !== booking.userId) return `its user was ${known.userId} and is ${booking.userId}`;
  // A forgotten Idempotency-Key may come again, with other seats.
  if (known && kind !== 'hold' && known.seats.join() !== booking.seats.join()) return 'its seats changed';
  if (kind === 'sweep' && atMs < booking.expiresAtMs)
    return `it ended ${booking.expiresAtMs - atMs} ms before its time`;
  return null;
}

/** What the kept log says last about a seat or a booking is what Redis and MySQL have. */
export function logOutcomeCheck(world: World): CheckResult {
  const { redis, mysql } = world;
  const labels = seatLabels(world);
  const violations: Violation[] = [];
  const seats = new Map<number, BookingChange>();
  const lasts = new Map<string, BookingChange>();
  for (const change of bookingChangesOf(world)) {
    lasts.set(change.booking.id, change);
    if (change.seatState !== '-') for (const seat of change.booking.seats) seats.set(seat, change);
  }
  for (const [seat, change] of seats) {
    const byte = redis.states?.[seat];
    if (byte === change.seatState) continue;
    const label = labels.get(seat) ?? `#${seat}`;
    const message = `seat ${label}: the log's ${logIdText(change)} leaves it at ${change.seatState}, Redis has ${byte}`;
    violations.push({ message, seat: label, ids: [change.booking.id] });
  }
  const records = new Map(redis.records.map((record) => [record.id, record]));
  const rows = new Map(mysql.bookings.map((row) => [row.id, row]));
  for (const [id, change] of lasts) {
    const row = rows.get(id);
    const record = records.get(id);
    const at = logIdText(change);
    const say = (text: string) =>
      violations.push({ message: `booking ${id}: ${text}`, ids: [id, change.booking.userId] });
    if (!row) say(`the log's ${at} (${change.kind}) is not in MySQL`);
    else {
      const said = differences(change.booking, row);
      if (said.length > 0) say(`the log's ${at} and MySQL differ (${said.join('; ')})`);
      const version = versionOf(change.epoch, change.n);
      if (row.version !== version) say(`MySQL has version ${row.version}, the log's last change of it is ${version}`);
    }
    const said = record ? differences(change.booking, record) : [];
    if (said.length > 0) say(`the log's ${at} and Redis differ (${said.join('; ')})`);
  }
  return { examined: seats.size + lasts.size, violations };
}

/** MySQL has the whole log: the cursor stands at its last id, and nothing was put aside. */
export function cursorCheck({ redis, mysql }: World): CheckResult {
  const violations: Violation[] = [];
  const { cursor } = mysql;
  if (cursor === null) violations.push({ message: 'MySQL has no log_cursor row of this concert', ids: [] });
  if (cursor && redis.lastId && compareLogIds(cursor.last, redis.lastId) !== 0) {
    const message = `the cursor stands at ${logIdText(cursor.last)}, the log's last id is ${logIdText(redis.lastId)}`;
    violations.push({ message, ids: [] });
  }
  if (cursor && redis.epoch !== null && cursor.epoch !== redis.epoch) {
    violations.push({ message: `MySQL is in epoch ${cursor.epoch}, Redis in ${redis.epoch}`, ids: [] });
  }
  for (const { id, bookingId, reason } of mysql.deadChanges) {
    const ids = bookingId === null ? [] : [bookingId];
    violations.push({ message: `change ${id} of booking ${bookingId ?? '(none)'} was put aside: ${reason}`, ids });
  }
  return { examined: 1 + mysql.deadChanges.length, violations };
}
