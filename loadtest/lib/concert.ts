import { Trend } from 'k6/metrics';
import { bodyOf, get } from './http.ts';

export interface Layout {
  /** Labels by seat index. */
  labels: string[];
  /** Neighbours in one row: for each seat the number of its row. */
  rows: number[];
}

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
  const layout: Layout = { labels: [], rows: [] };
  const rows = bodyOf<LayoutBody>(answer).sections.flatMap((section) => section.rows);
  for (const [row, { seats }] of rows.entries()) {
    for (const { index, label } of seats) {
      layout.labels[index] = label;
      layout.rows[index] = row;
    }
  }
  return layout;
}

/** @returns null when the map could not be read. */
export function readSeatMap(bookingUrl: string, concertId: number): SeatMap | null {
  const answer = get(`${bookingUrl}/api/concerts/${concertId}/seatmap`, { name: 'seatmap', trend: mapMs });
  return answer.status === 200 ? bodyOf<SeatMap>(answer) : null;
}

/**
 * Free seats as a fan would choose them: near the front, side by side when there are such, fewer when there are not enough.
 * @returns seat indexes, ascending; empty when nothing is free.
 */
export function pickSeats(states: string, rows: readonly number[], wanted: number): number[] {
  const free: number[] = [];
  for (let seat = states.indexOf('0'); seat >= 0; seat = states.indexOf('0', seat + 1)) free.push(seat);
  if (free.length === 0) return [];
  // Squared: the front is wanted more, so that fans do clash.
  const start = Math.floor(Math.random() ** 2 * free.length);
  const together = free.slice(start, start + wanted);
  const [first = 0] = together;
  const inOneRow = together.filter((seat) => rows[seat] === rows[first]);
  return inOneRow.length === together.length ? together : inOneRow.length > 1 ? inOneRow : together;
}
