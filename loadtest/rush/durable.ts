import type { Witnesses } from '../audit/load.ts';
import { loadProgress } from '../audit/mysql-state.ts';
import { lastLogId } from '../audit/redis-state.ts';
import type { LogId } from '../audit/world.ts';

/** What MySQL had at one moment. */
export interface DurableSample {
  atMs: number;
  /** Rows of `bookings`: each is a hold that was accepted. */
  bookings: number;
  confirmed: number;
  soldSeats: number;
  heldSeats: number;
  /** Log entries that Redis has and MySQL has not. */
  behind: number;
  /** Log entries in MySQL, of all epochs since the first look. */
  storedEntries: number;
}

/** Looks at MySQL again and again, one look at a time. */
export class DurableWatch {
  readonly samples: DurableSample[] = [];
  readonly #witnesses: Witnesses;
  readonly #concertId: number;
  #asking: Promise<void> | null = null;
  #cursor: LogId | null = null;
  #earlierEntries = 0;

  constructor(witnesses: Witnesses, concertId: number) {
    this.#witnesses = witnesses;
    this.#concertId = concertId;
  }

  get last(): DurableSample | undefined {
    return this.samples.at(-1);
  }

  /** Takes a sample unless one is being taken; a server that is away for a moment costs a sample, not the rush. */
  look(): void {
    this.#asking ??= this.#take()
      .catch(() => undefined)
      .finally(() => {
        this.#asking = null;
      });
  }

  /** @returns a sample that was taken after this call. */
  async lookNow(): Promise<DurableSample> {
    await this.#asking;
    await this.#take();
    const { last } = this;
    if (last === undefined) throw new Error('MySQL cannot be read');
    return last;
  }

  async #take(): Promise<void> {
    const { redis, shards } = this.#witnesses;
    const [progress, last, states] = await Promise.all([
      loadProgress(shards, this.#concertId),
      lastLogId(redis, this.#concertId),
      redis.get(`{${this.#concertId}}:seats`),
    ]);
    const { cursor, bookings, confirmed, soldSeats } = progress;
    const isSameEpoch = cursor !== null && last !== null && cursor.epoch === last.epoch;
    // A recovery begins a new log.
    if (this.#cursor && cursor && cursor.epoch !== this.#cursor.epoch) this.#earlierEntries += this.#cursor.n;
    this.#cursor = cursor;
    this.samples.push({
      atMs: Date.now(),
      bookings,
      confirmed,
      soldSeats,
      heldSeats: [...(states ?? '')].filter((state) => state === '1').length,
      behind: isSameEpoch ? Math.max(0, last.n - cursor.n) : 0,
      storedEntries: this.#earlierEntries + Math.max(0, cursor?.n ?? 0),
    });
  }
}
