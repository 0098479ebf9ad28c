import { type Change, decodeChange, versionOf } from '@frontrow/shared/contracts/change.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { Redis } from 'ioredis';
import { concertOfLiveChannel, durableLine, keysOf } from '../engine/keys.ts';
import { lastInLog, placeOf } from '../engine/log.ts';
import type { ConcertScripts } from '../engine/scripts.ts';
import type { SeatMap } from './seatmap.ts';

interface Followed {
  map: SeatMap;
  /** While the map catches up, what arrives live waits here. */
  buffer: Change[];
  catchingUp: boolean;
}

interface FollowerOptions {
  scripts: ConcertScripts;
  /** Reads the log (XRANGE, XREVRANGE). */
  redis: Redis;
  subscriber: Redis;
  log: Logger;
  /** Hears every change, once and in order, but for those that a new snapshot brought. */
  onChange?: (concertId: ConcertId, change: Change) => void;
  /** Hears up to which change the database has the concert. */
  onDurable?: (concertId: ConcertId, version: number) => void;
  compareEveryMs?: number;
}

const gapEntriesMax = 5_000;
const compareEveryMsDefault = 1_000;

/**
 * Keeps seat maps equal to Redis: subscribes first and buffers, takes a snapshot, applies what is newer. A gap is filled from
 * the log; when the log was trimmed or another epoch began, a new snapshot is taken. Every second the last ids are compared,
 * because a publication may be lost.
 */
export class SeatMapFollower {
  readonly #options: FollowerOptions;
  readonly #followed = new Map<ConcertId, Followed>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: FollowerOptions) {
    this.#options = options;
    options.subscriber.on('smessage', (channel: string, message: string) =>
      this.#receive(concertOfLiveChannel(channel), message),
    );
    this.#timer = setInterval(() => void this.#compareAll(), options.compareEveryMs ?? compareEveryMsDefault);
  }

  async follow(map: SeatMap): Promise<void> {
    if (this.#followed.has(map.concertId)) return;
    if (this.#followed.size >= limits.concertsFollowedMax)
      throw new RangeError(`More than ${limits.concertsFollowedMax} concerts cannot be followed.`);
    const followed: Followed = { map, buffer: [], catchingUp: false };
    this.#followed.set(map.concertId, followed);
    await this.#options.subscriber.ssubscribe(keysOf(map.concertId).live);
    await this.#catchUp(followed);
  }

  async unfollow(concertId: ConcertId): Promise<void> {
    this.#followed.delete(concertId);
    await this.#options.subscriber.sunsubscribe(keysOf(concertId).live);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #receive(concertId: ConcertId, message: string): void {
    const followed = this.#followed.get(concertId);
    if (followed === undefined) return;
    for (const line of message.split('\n')) {
      const separator = line.indexOf('|');
      const [id, text] = [line.slice(0, separator), line.slice(separator + 1)];
      if (id === durableLine) {
        const { epoch, n } = placeOf(text);
        this.#options.onDurable?.(concertId, versionOf(epoch, n));
        continue;
      }
      const decoded = decodeChange(id, text);
      if (!decoded.ok) {
        this.#options.log.error({ concertId, id, reason: decoded.failure }, 'a live change cannot be read');
        void this.#catchUp(followed);
      } else if (followed.catchingUp) followed.buffer.push(decoded.value);
      else this.#apply(followed, decoded.value);
    }
  }

  #apply(followed: Followed, change: Change): void {
    const outcome = followed.map.apply(change);
    if (outcome === 'applied') this.#options.onChange?.(followed.map.concertId, change);
    else if (outcome === 'gap') {
      followed.buffer.push(change);
      void this.#catchUp(followed);
    }
  }

  /** Fills what is missing; what arrived meanwhile is applied after it. A failure is tried again by the next comparison. */
  async #catchUp(followed: Followed): Promise<void> {
    if (followed.catchingUp) return;
    followed.catchingUp = true;
    try {
      if (!followed.map.ready || !(await this.#fillFromLog(followed.map))) await this.#takeSnapshot(followed.map);
    } catch (error) {
      if (!(error instanceof UnavailableError))
        this.#options.log.warn({ err: error, concertId: followed.map.concertId }, 'catching up failed');
    } finally {
      followed.catchingUp = false;
    }
    const buffer = followed.buffer;
    followed.buffer = [];
    for (const change of buffer) {
      // A change that still does not follow is left to the next comparison: asking again at once could spin.
      if (followed.map.apply(change) === 'applied') this.#options.onChange?.(followed.map.concertId, change);
    }
  }

  /** @returns false when the log does not continue where the map stands. */
  async #fillFromLog(map: SeatMap): Promise<boolean> {
    for (;;) {
      const entries = await this.#options.redis.xrange(
        keysOf(map.concertId).log,
        `(${map.epoch}-${map.n}`,
        '+',
        'COUNT',
        gapEntriesMax,
      );
      for (const [id, fields] of entries) {
        const decoded = decodeChange(id, fields[1] ?? '');
        if (!decoded.ok || map.apply(decoded.value) === 'gap') return false;
        this.#options.onChange?.(map.concertId, decoded.value);
      }
      if (entries.length === gapEntriesMax) continue;
      // Nothing newer than the map: either nothing happened, or Redis lost what the map has seen.
      return entries.length > 0 || (await this.#isAtEnd(map));
    }
  }

  async #takeSnapshot(map: SeatMap): Promise<void> {
    const [status, seats, epoch, n] = await this.#options.scripts.run('snapshot', map.concertId, []);
    if (status === 'snapshot') map.reset({ seats: String(seats), epoch: Number(epoch), n: Number(n) });
  }

  /** True when the log's last entry is the one that the map stands at. */
  async #isAtEnd(map: SeatMap): Promise<boolean> {
    const { epoch, n } = map;
    const last = await lastInLog(this.#options.redis, map.concertId);
    return last !== null && last.epoch === epoch && last.n === n;
  }

  async #compareAll(): Promise<void> {
    for (const followed of this.#followed.values()) {
      const { map } = followed;
      try {
        const { version, n } = map;
        const isAtEnd = await this.#isAtEnd(map);
        // What changed while the question was on its way is no gap: it is looked at again in a second.
        if (!isAtEnd && map.version === version && map.n === n) await this.#catchUp(followed);
      } catch {
        return; // Redis is away; the connection says so in the log, and the next comparison catches up.
      }
    }
  }
}
