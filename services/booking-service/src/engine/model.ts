import { type ChangeKind, type SeatState, seatStates } from '@frontrow/shared/contracts/change.ts';
import type { Phase } from '@frontrow/shared/contracts/hold.ts';
import { type HoldEvent, moveHold } from './hold-state.ts';

/**
 * The contract of the Lua scripts, in memory and in the plainest words: what random operations are checked against.
 * Replies have the very form of the scripts' replies. The caller moves the clock.
 */
export interface ModelSettings {
  opensMs: number;
  closesMs: number;
  override: 'none' | 'paused' | 'closed';
  ttlMs: number;
  seatsPerUserMax: number;
  windowMs: number;
  resendMs: number;
  recordsMax: number;
  graceMs: number;
  attemptsMax: number;
}

export interface ModelRecord {
  id: string;
  user: string;
  phase: Phase;
  seats: number[];
  total: number;
  expires: number;
  heldUntil: number;
  attempt: number;
  keyed: boolean;
  created: number;
  keepUntil: number;
}

interface ModelHoldRequest {
  id: string;
  user: string;
  keyed: boolean;
  total: number;
  seats: number[];
}

const isLive = (record: ModelRecord): boolean =>
  record.phase === 'held' || record.phase === 'paying' || record.phase === 'sold';
const isTimed = (record: ModelRecord): boolean => record.phase === 'held' || record.phase === 'paying';

export class HoldModel {
  nowMs = 0;
  readonly seats: SeatState[];
  readonly log: { kind: ChangeKind; record: ModelRecord; seatState: SeatState | '-' }[] = [];
  readonly settings: ModelSettings;
  #records: ModelRecord[] = [];

  constructor(seatCount: number, settings: ModelSettings) {
    this.seats = Array.from({ length: seatCount }, () => seatStates.free);
    this.settings = settings;
  }

  records(user: string): ModelRecord[] {
    return this.#records.filter((record) => record.user === user);
  }

  hold(requests: ModelHoldRequest[]): unknown[] {
    return ['done', ...requests.map((request) => this.#holdOne(request))];
  }

  #holdOne({ id, user, keyed, total, seats }: ModelHoldRequest): unknown[] {
    const { settings, nowMs } = this;
    const known = this.#find(user, id);
    if (known && (isLive(known) || known.keepUntil > nowMs)) {
      if (known.seats.join() !== seats.join()) return ['idempotency_key_reused'];
      return isLive(known) ? ['resent', 0, known.expires, known.total] : ['hold_ended'];
    }
    if (settings.override === 'closed' || nowMs >= settings.closesMs) return ['sale_closed'];
    if (settings.override === 'paused') return ['sale_paused'];
    if (nowMs < settings.opensMs) return ['sale_not_open', settings.opensMs];
    const kept = this.records(user).filter((record) => isLive(record) || record.keepUntil > nowMs);
    const live = kept.filter(isLive).reduce((sum, record) => sum + record.seats.length, 0);
    if (live + seats.length > settings.seatsPerUserMax) return ['seat_limit_reached', live];
    if (kept.length >= settings.recordsMax) {
      const ended = kept.filter((record) => !isLive(record)).map((record) => record.keepUntil);
      return ['rate_limited', ended.length > 0 ? Math.min(...ended) : settings.closesMs];
    }
    const taken = seats.filter((seat) => this.seats[seat] !== seatStates.free);
    if (taken.length > 0) return ['seats_taken', ...taken];
    const expires = nowMs + settings.ttlMs;
    const record: ModelRecord = {
      id,
      user,
      phase: 'held',
      seats,
      total,
      expires,
      heldUntil: expires,
      attempt: 0,
      keyed,
      created: nowMs,
      keepUntil: 0,
    };
    this.#add(record);
    this.#write('hold', record, seatStates.held);
    return ['held', this.log.length, expires, total];
  }

  begin(user: string, id: string, attempt: number): unknown[] {
    const record = this.#find(user, id);
    if (!record) return ['not_found'];
    if (record.phase === 'sold') return ['already_paid'];
    if (!isLive(record)) return ['hold_expired'];
    const begun = () => ['begun', record.expires, record.total, record.seats.join()];
    if (record.phase === 'paying' && attempt === record.attempt) return begun();
    if (attempt <= record.attempt) return ['stale_attempt'];
    if (record.expires <= this.nowMs) return ['hold_expired'];
    if (attempt > this.settings.attemptsMax) return ['payment_attempts_exhausted'];
    this.#move(record, 'begin');
    record.attempt = attempt;
    record.expires = Math.max(record.expires, this.nowMs + this.settings.graceMs);
    this.#write('begin', record, seatStates.held);
    return begun();
  }

  releasePay(user: string, id: string, attempt: number): unknown[] {
    const record = this.#find(user, id);
    if (!record) return ['not_found'];
    if (record.attempt === attempt && record.phase === 'held') return ['released'];
    if (record.attempt !== attempt || record.phase !== 'paying') return ['stale_attempt'];
    this.#move(record, 'release_pay');
    record.expires = record.heldUntil;
    this.#write('release_pay', record, seatStates.held);
    return ['released'];
  }

  release(user: string, id: string): unknown[] {
    const record = this.#find(user, id);
    if (!record) return ['not_found'];
    if (record.phase === 'paying') return ['payment_pending'];
    if (record.phase === 'sold') return ['already_paid'];
    if (!isLive(record)) return ['released'];
    this.#end(record, 'release');
    return ['released'];
  }

  settle(user: string, id: string, total: number, seats: number[]): unknown[] {
    let record = this.#find(user, id);
    const same = record?.seats.join() === seats.join();
    if (record?.phase === 'sold' && same) return ['sold'];
    if (record && (record.phase === 'lost' || !same)) return ['lost'];
    const owned = record !== undefined && isLive(record);
    const free = seats.every((seat) => this.seats[seat] === seatStates.free);
    record ??= this.#unknown(user, id, seats, total);
    record.total = total;
    if (!owned && !free) {
      this.#move(record, 'settle_lost');
      record.keepUntil = this.nowMs + this.settings.windowMs;
      this.#write('settle', record, '-');
      return ['lost'];
    }
    this.#move(record, 'settle_sold');
    record.keepUntil = 0;
    this.#write('settle', record, seatStates.sold);
    return ['sold'];
  }

  cancel(user: string, id: string, total: number, seats: number[], keep: boolean): unknown[] {
    let record = this.#find(user, id);
    if (record?.phase === 'lost') return ['cancelled'];
    const seatState = keep || !record || !isLive(record) ? '-' : seatStates.free;
    record ??= this.#unknown(user, id, seats, total);
    this.#move(record, 'cancel');
    record.keepUntil = this.nowMs + this.settings.windowMs;
    this.#write('cancel', record, seatState);
    return ['cancelled'];
  }

  /** Ends everything that is due (the scripts do it in bounded calls). @returns how many. */
  sweep(): number {
    const due = this.#records.filter((record) => isTimed(record) && record.expires <= this.nowMs);
    for (const record of due) this.#end(record, 'sweep');
    return due.length;
  }

  #find(user: string, id: string): ModelRecord | undefined {
    return this.#records.find((record) => record.user === user && record.id === id);
  }

  /** A record as `settle` and `cancel` make it for a hold that Redis does not know. */
  #unknown(user: string, id: string, seats: number[], total: number): ModelRecord {
    const record: ModelRecord = {
      id,
      user,
      phase: 'ended',
      seats,
      total,
      expires: this.nowMs,
      heldUntil: this.nowMs,
      attempt: 0,
      keyed: false,
      created: this.nowMs,
      keepUntil: 0,
    };
    this.#add(record);
    return record;
  }

  #add(record: ModelRecord): void {
    this.#records = [...this.#records.filter((other) => other.id !== record.id || other.user !== record.user), record];
  }

  #end(record: ModelRecord, event: 'release' | 'sweep'): void {
    this.#move(record, event);
    const remembered = record.keyed || record.attempt > 0 ? this.settings.windowMs : this.settings.resendMs;
    record.keepUntil = this.nowMs + remembered;
    this.#write(event, record, seatStates.free);
  }

  #move(record: ModelRecord, event: HoldEvent): void {
    const to = moveHold(record.phase, event);
    if (to === null) throw new Error(`No move from ${record.phase} by ${event}.`);
    record.phase = to;
  }

  #write(kind: ChangeKind, record: ModelRecord, seatState: SeatState | '-'): void {
    if (seatState !== '-') for (const seat of record.seats) this.seats[seat] = seatState;
    this.log.push({ kind, record: { ...record }, seatState });
    // A write to a fan's records drops those of their tombstones whose time is over.
    this.#records = this.#records.filter(
      (other) => other.user !== record.user || isLive(other) || other.keepUntil > this.nowMs,
    );
  }
}
