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
  // Counted here and added once: a metric sample a frame would cost k6 more than the frame.
  const seen = { deltas: 0, seats: 0, gaps: 0 };
  let version = 0;
  let isOver = false;
  const end = () => {
    isOver = true;
    deltas.add(seen.deltas);
    deltaSeats.add(seen.seats);
    gaps.add(seen.gaps);
  };
  const socket = connectSocketIo(bookingUrl, {
    onConnect: (connected) => {
      watching.add(1);
      connected.emit('watch', { concertId });
    },
    onEvent: (event, body, frame) => {
      if (event === 'snapshot') version = (body as { version: number }).version;
      if (event !== 'delta' || frame === null) return;
      const delta = readDelta(frame);
      seen.deltas += 1;
      seen.seats += delta.seats;
      if (delta.toVersion <= version) return;
      // A delta may reach back beyond the snapshot; it may not leave anything out.
      if (delta.fromVersion > version) {
        seen.gaps += 1;
        version = readSeatMap(bookingUrl, concertId)?.version ?? delta.toVersion;
      }
      version = Math.max(version, delta.toVersion);
    },
    onEnd: () => {
      if (isOver) return;
      lost.add(1);
      end();
    },
  });
  setTimeout(() => {
    if (isOver) return;
    end();
    socket.close();
  }, durationMs);
}
