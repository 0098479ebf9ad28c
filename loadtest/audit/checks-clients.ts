import type { ClientEvent } from '../client-event.ts';
import type { CheckResult, Violation } from './check.ts';
import { seatLabels } from './checks-seats.ts';
import type { BookingRow, World } from './world.ts';

type AcceptedHold = Extract<ClientEvent, { e: 'hold' }>;

const eventsOf = <E extends ClientEvent['e']>(world: World, kind: E) =>
  (world.clients ?? []).filter((event): event is Extract<ClientEvent, { e: E }> => event.e === kind);

/**
 * Every 201 that a client saw exists, with the same fan, seats and amount, or ended by the rules: its time ran out, the fan
 * let it go, or its money went back.
 */
export function acceptedHoldsCheck(world: World): CheckResult {
  const rows = new Map(world.mysql.bookings.map((row) => [row.id, row]));
  const records = new Set(world.redis.records.map(({ id }) => id));
  const released = new Set(eventsOf(world, 'released').map(({ id }) => id));
  const paid = new Set(world.money.payments.map(({ bookingId }) => bookingId));
  const restoredAtMs = lastRestoreMs(world);
  const labels = seatLabels(world);
  const holds = eventsOf(world, 'hold');

  const violations = holds.flatMap((hold): Violation[] => {
    const row = rows.get(hold.id);
    const say = (text: string): Violation[] => [
      {
        message: `hold ${hold.id} of seats ${hold.seats.join(' ')}: ${text}`,
        seat: hold.seats.join(' '),
        ids: [hold.id, hold.user],
      },
    ];
    if (!row) {
      if (records.has(hold.id)) return [];
      // A lost Redis may cost holds that were never durable; the recovery says how many.
      if (restoredAtMs !== null && hold.at <= restoredAtMs) return [];
      return say('a client saw its 201, and neither MySQL nor Redis knows it');
    }
    const seats = row.seats.map((seat) => labels.get(seat) ?? `#${seat}`).sort();
    if (row.userId !== hold.user) return say(`it was given to ${hold.user} and belongs to ${row.userId}`);
    if (seats.join(' ') !== [...hold.seats].sort().join(' ')) return say(`MySQL has it with seats ${seats.join(' ')}`);
    if (row.totalMinor !== hold.totalMinor) return say(`its price was ${hold.totalMinor} and is ${row.totalMinor}`);
    const said = faultOfEnd(hold, row, released.has(hold.id), paid.has(hold.id));
    return said === null ? [] : say(said);
  });
  return { examined: holds.length, violations };
}

function faultOfEnd(hold: AcceptedHold, row: BookingRow, wasReleased: boolean, wasPaid: boolean): string | null {
  if (row.phase === 'lost') return wasPaid ? null : 'it is lost, and nobody paid for it';
  if (row.phase !== 'ended' || wasReleased) return null;
  const dueMs = Math.min(Date.parse(hold.expiresAt), row.expiresAtMs);
  if (row.endedAtMs === null) return 'it ended at no time';
  return row.endedAtMs >= dueMs
    ? null
    : `it ended ${dueMs - row.endedAtMs} ms before its time, and the fan had not let it go`;
}

function lastRestoreMs({ redis }: World): number | null {
  const first = redis.log[0];
  return first && 'change' in first && first.change.kind === 'restored' ? first.change.atMs : null;
}

/** Every confirmation that a client saw is confirmed and paid. */
export function confirmationsCheck(world: World): CheckResult {
  const rows = new Map(world.mysql.bookings.map((row) => [row.id, row]));
  const payments = new Map(world.money.payments.map((row) => [row.id, row]));
  const confirmed = eventsOf(world, 'confirmed');
  const violations = confirmed.flatMap(({ id, payment }): Violation[] => {
    const phase = rows.get(id)?.phase;
    const status = payments.get(payment)?.status;
    if (phase === 'sold' && status === 'completed') return [];
    const message = `booking ${id} was shown as confirmed, but it is ${phase ?? 'unknown'} and payment ${payment} is ${status ?? 'unknown'}`;
    return [{ message, ids: [id, payment] }];
  });
  return { examined: confirmed.length, violations };
}
