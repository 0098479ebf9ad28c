import type { Change } from '@frontrow/shared/contracts/change.ts';
import { versionOf } from '@frontrow/shared/contracts/change.ts';
import { concertIdSchema } from '@frontrow/shared/contracts/common.ts';
import { statusOfPhase } from '@frontrow/shared/contracts/hold.ts';
import type { TokenVerifier } from '@frontrow/shared/http/auth.ts';
import type { TemplatedApp } from '@frontrow/shared/http/uws.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { Server, type Socket } from 'socket.io';
import { z } from 'zod';
import type { SeatMap } from './seatmap.ts';

interface SocketOptions {
  app: TemplatedApp;
  verifyToken: TokenVerifier;
  map: (concertId: ConcertId) => SeatMap | undefined;
  /** False sends a frame for every change instead of one a tick, for comparison. */
  coalesce: boolean;
  socketsMax?: number;
}

const watchBody = z.strictObject({ concertId: concertIdSchema });
const watchedPerSocketMax = 10;
const roomOf = (concertId: ConcertId): string => `concert:${concertId}`;
const userRoomOf = (userId: string): string => `user:${userId}`;

/**
 * The live seat map over socket.io, websocket transport only: processes share a port and nothing is sticky, so long polling
 * could not work. One room per concert and never an exception in an emit, so that uWebSockets' own publish is used.
 * Frames may be lost for a slow receiver: each delta says from and to which version it leads, and a client whose version lies
 * before it reads the seat map again.
 */
export class SeatMapSockets {
  readonly #options: SocketOptions;
  readonly #io = new Server({
    transports: ['websocket'],
    serveClient: false,
    pingInterval: 20_000,
    maxHttpBufferSize: 16 * 1024,
  });
  readonly #timer: NodeJS.Timeout;
  /** Confirmations that the fan hears of when the database has them. */
  readonly #unconfirmed = new Map<ConcertId, Change[]>();
  /** Up to where the database has each concert, as far as this process heard. */
  readonly #durable = new Map<ConcertId, number>();

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#io.attachApp(options.app);
    this.#io.use((socket, next) => this.#admit(socket, next));
    this.#io.on('connection', (socket) => this.#welcome(socket));
    this.#timer = setInterval(() => this.#tick(), limits.deltaTickMs);
  }

  get connected(): number {
    return this.#io.engine.clientsCount;
  }

  /** Tells the fan of their booking, and the watchers at the next tick of the seats. */
  changed(concertId: ConcertId, change: Change): void {
    if (!this.#options.coalesce) this.#sendDelta(concertId);
    const { booking } = change;
    if (booking === null || !this.#io.sockets.adapter.rooms.has(userRoomOf(booking.userId))) return;
    if (booking.phase === 'sold' && versionOf(change.epoch, change.n) > (this.#durable.get(concertId) ?? 0))
      this.#unconfirmed.set(concertId, [...(this.#unconfirmed.get(concertId) ?? []), change]);
    else this.#tell(change);
  }

  /** The database has the concert up to this version: confirmed means stored. */
  durable(concertId: ConcertId, version: number): void {
    this.#durable.set(concertId, Math.max(version, this.#durable.get(concertId) ?? 0));
    const waiting = this.#unconfirmed.get(concertId);
    if (waiting === undefined) return;
    const later = waiting.filter((change) => versionOf(change.epoch, change.n) > version);
    for (const change of waiting) if (!later.includes(change)) this.#tell(change);
    if (later.length === 0) this.#unconfirmed.delete(concertId);
    else this.#unconfirmed.set(concertId, later);
  }

  /** Ends every connection, with the reason. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#io.emit('closing', { reason: 'The server is restarting. Connect again.' });
    this.#io.disconnectSockets(true);
    await this.#io.close();
  }

  #admit(socket: Socket, next: (error?: Error) => void): void {
    if (this.connected > (this.#options.socketsMax ?? limits.socketsPerProcessMax))
      return next(new Error('overloaded'));
    const token: unknown = socket.handshake.auth.token;
    if (token === undefined || token === null || token === '') return next();
    const verdict =
      typeof token === 'string' ? this.#options.verifyToken(token) : { failure: 'unauthenticated' as const };
    if ('failure' in verdict) return next(new Error(verdict.failure));
    void socket.join(userRoomOf(verdict.identity.userId));
    next();
  }

  #welcome(socket: Socket): void {
    socket.on('watch', (body: unknown) => {
      const parsed = watchBody.safeParse(body);
      if (!parsed.success)
        return socket.emit('problem', { code: 'invalid_request', detail: 'Send {"concertId": number}.' });
      const map = this.#options.map(parsed.data.concertId);
      if (map === undefined) return socket.emit('problem', { code: 'not_found', detail: 'There is no such concert.' });
      const watched = [...socket.rooms].filter((room) => room.startsWith('concert:'));
      if (watched.length >= watchedPerSocketMax && !watched.includes(roomOf(map.concertId))) {
        return socket.emit('problem', {
          code: 'rate_limited',
          detail: `One connection watches at most ${watchedPerSocketMax} concerts.`,
        });
      }
      void socket.join(roomOf(map.concertId));
      socket.emit('snapshot', { concertId: map.concertId, layoutVersion: map.layoutVersion, version: map.version });
    });
    socket.on('unwatch', (body: unknown) => {
      const parsed = watchBody.safeParse(body);
      if (parsed.success) void socket.leave(roomOf(parsed.data.concertId));
    });
  }

  #tick(): void {
    for (const room of this.#io.sockets.adapter.rooms.keys()) {
      if (room.startsWith('concert:')) this.#sendDelta(Number(room.slice(8)));
    }
  }

  #sendDelta(concertId: ConcertId): void {
    const delta = this.#options.map(concertId)?.takeDelta();
    if (delta) this.#io.to(roomOf(concertId)).emit('delta', delta);
  }

  #tell({ booking }: Change): void {
    if (booking === null) return;
    const { id, phase, expiresAtMs } = booking;
    const status = statusOfPhase[phase];
    this.#io.to(userRoomOf(booking.userId)).emit('booking', {
      id,
      status,
      phase,
      expiresAt: status === 'pending' ? new Date(expiresAtMs).toISOString() : null,
    });
  }
}
