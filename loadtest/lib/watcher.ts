import { Counter } from 'k6/metrics';
import { readSeatMap } from './concert.ts';
import { settings } from './settings.ts';
import { connectSocketIo, readDelta } from './socket-io.ts';

const watching = new Counter('watchers_connected');
const lost = new Counter('watchers_lost');
const deltas = new Counter('deltas');
const deltaSeats = new Counter('delta_seats');
const gaps = new Counter('delta_gaps');

/** Watches the concert over one websocket until the time is over; a gap is counted and mended by reading the map. */
export function watchFor(durationMs: number): void {
  const { bookingUrl, concertId } = settings;
  let version = 0;
  let isOver = false;
  const socket = connectSocketIo(bookingUrl, {
    onConnect: (connected) => {
      watching.add(1);
      connected.emit('watch', { concertId });
    },
    onEvent: (event, body, frame) => {
      if (event === 'snapshot') version = (body as { version: number }).version;
      if (event !== 'delta' || frame === null) return;
      const delta = readDelta(frame);
      deltas.add(1);
      deltaSeats.add(delta.seats);
      if (delta.toVersion <= version) return;
      // A delta may reach back beyond the snapshot; it may not leave anything out.
      if (delta.fromVersion > version) {
        gaps.add(1);
        version = readSeatMap(bookingUrl, concertId)?.version ?? delta.toVersion;
      }
      version = Math.max(version, delta.toVersion);
    },
    onEnd: () => {
      if (!isOver) lost.add(1);
      isOver = true;
    },
  });
  setTimeout(() => {
    isOver = true;
    socket.close();
  }, durationMs);
}
