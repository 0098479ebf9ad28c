import { Trend } from 'k6/metrics';
import { bodyOf, get } from './http.ts';

/** The labels by seat index, joined by blanks: one string is cheap to hand to a thousand virtual users, a list is not. */
export type Layout = string;

interface ConcertBody {
  layoutVersion: number;
}
interface LayoutBody {
  sections: { rows: { seats: { index: number; label: string }[] }[] }[];
}
export interface SeatMap {
  version: number;
  /** One character a seat: 0 free, 1 held, 2 sold, 3 blocked. */
  states: string;
}

const mapMs = new Trend('map_ms', true);

export function readLayout(bookingUrl: string, concertId: number): Layout {
  const concertUrl = `${bookingUrl}/api/concerts/${concertId}`;
  const concert = bodyOf<ConcertBody>(get(concertUrl, { name: 'concert' }));
  const answer = get(`${concertUrl}/layout/${concert.layoutVersion}`, { name: 'layout' });
  const labels: string[] = [];
  for (const { index, label } of bodyOf<LayoutBody>(answer).sections.flatMap(({ rows }) =>
    rows.flatMap(({ seats }) => seats),
  )) {
    labels[index] = label;
  }
  return labels.join(' ');
}

/** @returns null when the map could not be read. */
export function readSeatMap(bookingUrl: string, concertId: number): SeatMap | null {
  const answer = get(`${bookingUrl}/api/concerts/${concertId}/seatmap`, { name: 'seatmap', trend: mapMs });
  return answer.status === 200 ? bodyOf<SeatMap>(answer) : null;
}

/**
 * Free seats as a fan would choose them: near the front, in one row when there are such, fewer when there are not enough.
 * @returns labels in index order; empty when nothing is free.
 */
export function pickSeats(states: string, labels: readonly string[], wanted: number): string[] {
  const free: number[] = [];
  for (let seat = states.indexOf('0'); seat >= 0; seat = states.indexOf('0', seat + 1)) free.push(seat);
  // Squared: the front is wanted more, so that fans do clash.
  const start = Math.floor(Math.random() ** 2 * free.length);
  const next = free.slice(start, start + wanted).map((seat) => labels[seat] ?? '');
  const inOneRow = next.filter((label) => rowOf(label) === rowOf(next[0] ?? ''));
  return inOneRow.length > 1 ? inOneRow : next;
}

/** The label without the seat's number. */
const rowOf = (label: string): string => label.slice(0, label.lastIndexOf('-'));
