import { type Change, decodeChange, doubleSale, versionOf } from '@frontrow/shared/contracts/change.ts';
import { bucketOfConcert, type ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { isDuplicate, isTransient, type Shards, type Sql, sqlErrorCode } from '@frontrow/shared/mysql/pool.ts';
import type { Redis } from 'ioredis';
import { keysOf } from '../engine/keys.ts';
import { type LogPlace, placeOf } from '../engine/log.ts';
import {
  backToSavepoint,
  type Cursor,
  currencyOf,
  type DeadChange,
  DoubleSaleError,
  insertDeadChange,
  isStored,
  listDeadChanges,
  markDeadReplayed,
  moveCursorOf,
  otherOwner,
  type RawEntry,
  readCursorOf,
  setSavepoint,
  writeChanges,
  writeUserBookings,
} from './persist.repo.ts';

interface PersistOptions {
  redis: Redis;
  shards: Shards;
  log: Logger;
  onWritten?: (changes: number, dead: number) => void;
}

export type PersistOutcome =
  /** `written` changes are stored; `last` is where the rows stand now. */
  | { status: 'written' | 'up_to_date'; written: number; dead: number; last: LogPlace }
  /** Another worker moved the cursor, or the concert was recovered, meanwhile: nothing was done. */
  | { status: 'overtaken' }
  /** The log does not go on where the rows stand: Redis lost something, or it was trimmed. Nothing was done. */
  | { status: 'gap'; last: LogPlace };

interface Entry {
  raw: RawEntry;
  place: LogPlace;
  decoded: ReturnType<typeof decodeChange>;
}

/** Moves a concert's log into its shard, a bounded range at a time. */
export class Persister {
  readonly #options: PersistOptions;
  readonly #currencies = new Map<ConcertId, string>();

  constructor(options: PersistOptions) {
    this.#options = options;
  }

  /**
   * Stores what follows the cursor, up to `to` when it is given. Where the rows stand is asked of the rows, so a job that is
   * repeated, late, or done by two does its work once.
   */
  async persist(concertId: ConcertId, to?: LogPlace): Promise<PersistOutcome> {
    const shard = this.#options.shards.ofBucket(bucketOfConcert(concertId));
    const cursor = await readCursorOf(shard, concertId);
    if (cursor === null) throw new Error(`Concert ${concertId} has no cursor.`);
    const entries = await this.#read(concertId, cursor.last, to);
    if (entries.length === 0) return { status: 'up_to_date', written: 0, dead: 0, last: cursor.last };
    const dense = densePart(cursor, entries);
    const last = dense.at(-1)?.place;
    if (last === undefined) return { status: 'gap', last: cursor.last };
    const currency = await this.#currency(shard, concertId);
    const changes = dense.flatMap(({ decoded }) => (decoded.ok ? [decoded.value] : []));
    await writeUserBookings(this.#options.shards, concertId, changes);
    const dead = await shard.transaction(async (sql) => {
      if (!(await moveCursorOf(sql, concertId, cursor, last))) return null;
      return await this.#write(sql, concertId, currency, dense);
    });
    if (dead === null) return { status: 'overtaken' };
    this.#options.onWritten?.(dense.length, dead);
    return { status: 'written', written: dense.length, dead, last };
  }

  /** Stores all that follows the cursor without a gap. @returns how many changes. */
  async persistAll(concertId: ConcertId): Promise<number> {
    let written = 0;
    for (;;) {
      const outcome = await this.persist(concertId);
      if (outcome.status !== 'written') return written;
      written += outcome.written;
    }
  }

  /** Removes from the log what is stored, but for the documented number of entries. */
  async trim(concertId: ConcertId, stored: LogPlace): Promise<void> {
    const below = stored.n - limits.logKeepEntries;
    if (below > 0) await this.#options.redis.xtrim(keysOf(concertId).log, 'MINID', '~', `${stored.epoch}-${below}`);
  }

  listDead(concertId: ConcertId): Promise<DeadChange[]> {
    return listDeadChanges(this.#options.shards.ofBucket(bucketOfConcert(concertId)), concertId);
  }

  /** Tries again to write the changes that went aside. @returns what is still aside. */
  async replayDead(concertId: ConcertId): Promise<{ replayed: number; remaining: DeadChange[] }> {
    const shard = this.#options.shards.ofBucket(bucketOfConcert(concertId));
    const currency = await this.#currency(shard, concertId);
    const remaining: DeadChange[] = [];
    let replayed = 0;
    for (const dead of await listDeadChanges(shard, concertId)) {
      const decoded = decodeChange(dead.entry.id, dead.entry.text);
      const done = decoded.ok && (await this.#replayOne(shard.transaction, concertId, currency, decoded.value));
      if (done) replayed += 1;
      else remaining.push(dead);
    }
    return { replayed, remaining };
  }

  async #replayOne(
    transaction: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>,
    concertId: ConcertId,
    currency: string,
    change: Change,
  ): Promise<boolean> {
    try {
      return await transaction(async (sql) => {
        // What happened to the booking since then counts, not what failed back then.
        if (!(await isStored(sql, concertId, change))) await writeChanges(sql, concertId, currency, [change]);
        return markDeadReplayed(sql, concertId, change);
      });
    } catch (error) {
      if (isTransient(error)) throw error;
      return false;
    }
  }

  /** Writes all at once; when that fails, halves the batch until what cannot be written stands alone. @returns how many went aside. */
  async #write(sql: Sql, concertId: ConcertId, currency: string, entries: readonly Entry[]): Promise<number> {
    const readable = entries.flatMap(({ decoded }) => (decoded.ok ? [decoded.value] : []));
    await setSavepoint(sql);
    try {
      await writeChanges(sql, concertId, currency, readable);
    } catch (error) {
      if (isTransient(error)) throw error;
      await backToSavepoint(sql);
      const only = entries.length === 1 ? entries[0] : undefined;
      if (only !== undefined) return this.#bury(sql, concertId, only, error);
      const half = Math.ceil(entries.length / 2);
      const first = await this.#write(sql, concertId, currency, entries.slice(0, half));
      return first + (await this.#write(sql, concertId, currency, entries.slice(half)));
    }
    let dead = 0;
    for (const entry of entries)
      if (!entry.decoded.ok) dead += await this.#bury(sql, concertId, entry, new Error(entry.decoded.failure));
    return dead;
  }

  /** Puts a change aside, in the transaction that moves the cursor past it. */
  async #bury(sql: Sql, concertId: ConcertId, { raw, place, decoded }: Entry, error: unknown): Promise<1> {
    const change = decoded.ok ? decoded.value : null;
    const rival = isDuplicate(error) && change?.booking ? await otherOwner(sql, concertId, change.booking) : null;
    const cause = rival === null ? error : new DoubleSaleError(`a seat of this booking belongs to booking ${rival}`);
    const reason = rival !== null ? doubleSale : change === null ? 'unreadable' : sqlErrorCode(error) || 'unwritable';
    const detail = cause instanceof Error ? cause.message : String(cause);
    this.#options.log.error(
      { alarm: reason, concertId, change: raw.id, booking: change?.booking?.id, detail },
      'a change could not be written and was put aside',
    );
    await insertDeadChange(
      sql,
      concertId,
      { place, entry: raw, kind: change?.kind ?? 'unknown', reason, detail },
      change,
    );
    return 1;
  }

  async #read(concertId: ConcertId, after: LogPlace, to: LogPlace | undefined): Promise<Entry[]> {
    const start = after.n < 0 ? `${after.epoch}-0` : `(${after.epoch}-${after.n}`;
    const end = to ? `${to.epoch}-${to.n}` : '+';
    const entries = await this.#options.redis.xrange(
      keysOf(concertId).log,
      start,
      end,
      'COUNT',
      limits.persistEntriesMax,
    );
    return entries.map(([id, fields]) => {
      const text = fields[1] ?? '';
      return { raw: { id, text }, place: placeOf(id), decoded: decodeChange(id, text) };
    });
  }

  async #currency(sql: Sql, concertId: ConcertId): Promise<string> {
    const currency = this.#currencies.get(concertId) ?? (await currencyOf(sql, concertId));
    this.#currencies.set(concertId, currency);
    return currency;
  }
}

/** The entries that follow the cursor without a gap: the next of its epoch, or the first of the epoch that is open now. */
function densePart(cursor: Cursor, entries: readonly Entry[]): Entry[] {
  const dense: Entry[] = [];
  let last = cursor.last;
  for (const entry of entries) {
    const { epoch, n } = entry.place;
    const follows = epoch === last.epoch ? n === last.n + 1 : epoch === cursor.epoch && n === 0;
    if (!follows) break;
    dense.push(entry);
    last = entry.place;
  }
  return dense;
}

/** Compares two places of a log. */
export const isBefore = (a: LogPlace, b: LogPlace): boolean => versionOf(a.epoch, a.n) < versionOf(b.epoch, b.n);
