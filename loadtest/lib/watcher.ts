import { Counter } from 'k6/metrics';
import { readSeatMap } from './concert.ts';
import { settings } from './settings.ts';
import { connectSocketIo, readDelta, type SocketIo } from './socket-io.ts';

const connections = new Counter('watchers_connected');
const lost = new Counter('watchers_lost');
const deltas = new Counter('deltas');
const deltaSeats = new Counter('delta_seats');
const gaps = new Counter('delta_gaps');

const reconnectMs = 1_000;

/**
 * Watches the concert over one websocket until the time is over, and connects again when the connection is lost. A gap is
 * counted and mended by reading the map.
 */
export function watchFor(durationMs: number): void {
  const { bookingUrl, concertId } = settings;
  // Counted here and added once: a metric sample a frame would cost k6 more than the frame.
  const seen = { connections: 0, lost: 0, deltas: 0, seats: 0, gaps: 0 };
  let version = 0;
  let socket: SocketIo | null = null;
  let isOver = false;

  const receive = (frame: ArrayBuffer): void => {
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
  };
  const connect = (): void => {
    let isEnded = false;
    socket = connectSocketIo(bookingUrl, {
      onConnect: (connected) => {
        seen.connections += 1;
        connected.emit('watch', { concertId });
      },
      onEvent: (event, body, frame) => {
        if (event === 'snapshot') version = (body as { version: number }).version;
        else if (event === 'delta' && frame !== null) receive(frame);
      },
      onEnd: () => {
        if (isEnded || isOver) return;
        isEnded = true;
        seen.lost += 1;
        setTimeout(() => {
          if (!isOver) connect();
        }, reconnectMs);
      },
    });
  };

  connect();
  setTimeout(() => {
    isOver = true;
    socket?.close();
    connections.add(seen.connections);
    lost.add(seen.lost);
    deltas.add(seen.deltas);
    deltaSeats.add(seen.seats);
    gaps.add(seen.gaps);
  }, durationMs);
}
