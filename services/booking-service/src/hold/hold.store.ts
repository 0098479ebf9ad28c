import type { ConcertId, HoldId, UserId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { ConcertScripts } from '../engine/scripts.ts';

/** One fan's wish for some seats, all or none. */
export interface HoldRequest {
  concertId: ConcertId;
  holdId: HoldId;
  userId: UserId;
  /** Made with an Idempotency-Key: remembered for its whole window. */
  keyed: boolean;
  totalMinor: number;
  /** Seat indexes, ascending. */
  seats: readonly number[];
}

export type HoldAnswer =
  | { status: 'held' | 'resent'; expiresAtMs: number; totalMinor: number }
  | { status: 'seats_taken'; seats: number[] }
  | { status: 'sale_not_open'; opensAtMs: number }
  | { status: 'seat_limit_reached'; liveSeats: number }
  | { status: 'rate_limited'; freeAgainAtMs: number }
  | { status: 'hold_ended' | 'idempotency_key_reused' | 'sale_paused' | 'sale_closed' | 'overloaded' };

interface Waiting {
  request: HoldRequest;
  deadlineMs: number;
  resolve: (answer: HoldAnswer) => void;
  reject: (error: Error) => void;
}

interface StoreOptions {
  /** False sends each hold in a call of its own, for comparison. */
  batching: boolean;
  waitingMax: number;
  /** Hears the size of each batch. */
  onBatch?: (holds: number) => void;
}

const retryPauseMs = 50;

/**
 * Sends holds to Redis, batched by concert: one call in flight per concert and process. When idle a hold leaves at once. If
 * the last batch had more than one hold, or left less than a millisecond ago, the next leaves when the millisecond is over,
 * so that under load a call carries what came in meanwhile.
 *
 * A call whose answer was lost, or that met a recovering concert, is repeated with the same ids until the hold's deadline:
 * the scripts answer a known id with what they recorded.
 */
export class HoldStore {
  readonly #scripts: ConcertScripts;
  readonly #options: StoreOptions;
  readonly #lanes = new Map<ConcertId, Lane>();

  constructor(scripts: ConcertScripts, options: Partial<StoreOptions> = {}) {
    this.#scripts = scripts;
    this.#options = { batching: true, waitingMax: limits.batchWaitingMax, ...options };
  }

  /** @throws UnavailableError when Redis gave no answer by the deadline; the same request may be repeated. */
  hold(request: HoldRequest): Promise<HoldAnswer> {
    let lane = this.#lanes.get(request.concertId);
    if (lane === undefined) {
      lane = new Lane(this.#scripts, request.concertId, this.#options);
      this.#lanes.set(request.concertId, lane);
    }
    return lane.submit(request);
  }
}

class Lane {
  readonly #scripts: ConcertScripts;
  readonly #concertId: ConcertId;
  readonly #options: StoreOptions;
  readonly #holdsMax: number;
  #waiting: Waiting[] = [];
  #callsInFlight = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastLeftAtMs = 0;
  #lastSize = 0;

  constructor(scripts: ConcertScripts, concertId: ConcertId, options: StoreOptions) {
    this.#scripts = scripts;
    this.#concertId = concertId;
    this.#options = options;
    this.#holdsMax = options.batching ? limits.batchHoldsMax : 1;
  }

  submit(request: HoldRequest): Promise<HoldAnswer> {
    if (this.#waiting.length >= this.#options.waitingMax) return Promise.resolve({ status: 'overloaded' });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, deadlineMs: Date.now() + limits.holdDeadlineMs, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (!this.#options.batching) {
      while (this.#waiting.length > 0) this.#leave();
      return;
    }
    if (this.#callsInFlight > 0 || this.#timer !== null || this.#waiting.length === 0) return;
    const sinceLastMs = performance.now() - this.#lastLeftAtMs;
    const busy = this.#lastSize > 1 || sinceLastMs < limits.batchGapMs;
    const full = this.#waiting.length >= this.#holdsMax;
    if (!busy || full || sinceLastMs >= limits.batchGapMs) this.#leave();
    else this.#leaveAfter(limits.batchGapMs);
  }

  #leaveAfter(pauseMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#leave();
    }, pauseMs);
  }

  #leave(): void {
    const batch = this.#waiting.splice(0, this.#holdsMax);
    if (batch.length === 0) return;
    this.#callsInFlight += 1;
    this.#lastLeftAtMs = performance.now();
    this.#lastSize = batch.length;
    this.#options.onBatch?.(batch.length);
    this.#send(batch).then(
      (answered) => {
        this.#callsInFlight -= 1;
        if (answered) this.#schedule();
        else this.#repeatLater(batch, new UnavailableError('the concert is recovering'));
      },
      (error: Error) => {
        this.#callsInFlight -= 1;
        if (error instanceof UnavailableError) return this.#repeatLater(batch, error);
        for (const { reject } of batch) reject(error);
        this.#schedule();
      },
    );
  }

  /** @returns false when the concert is recovering: nothing was done. */
  async #send(batch: readonly Waiting[]): Promise<boolean> {
    const args: (string | number)[] = [limits.idempotencyWindowMs, limits.resendWindowMs, limits.recordsPerFanMax];
    for (const { request } of batch) {
      args.push(
        request.holdId,
        request.userId,
        request.keyed ? 1 : 0,
        request.totalMinor,
        request.seats.length,
        request.seats.join(),
      );
    }
    const [status, ...answers] = await this.#scripts.run('hold', this.#concertId, args);
    if (status === 'recovering') return false;
    for (let index = 0; index < batch.length; index += 1) batch[index]?.resolve(readAnswer(answers[index]));
    return true;
  }

  #repeatLater(batch: readonly Waiting[], reason: UnavailableError): void {
    const now = Date.now();
    for (const { deadlineMs, reject } of batch) if (deadlineMs <= now) reject(reason);
    this.#waiting.unshift(...batch.filter(({ deadlineMs }) => deadlineMs > now));
    if (this.#timer === null) this.#leaveAfter(retryPauseMs);
  }
}

/** The replies of lua/hold.lua. */
function readAnswer(answer: unknown): HoldAnswer {
  if (!Array.isArray(answer)) throw new TypeError('The hold script gave no answer for a request.');
  const [status, ...numbers]: [HoldAnswer['status'], ...number[]] = answer as [HoldAnswer['status'], ...number[]];
  switch (status) {
    case 'held':
    case 'resent':
      return { status, expiresAtMs: numbers[1] ?? 0, totalMinor: numbers[2] ?? 0 };
    case 'seats_taken':
      return { status, seats: numbers };
    case 'sale_not_open':
      return { status, opensAtMs: numbers[0] ?? 0 };
    case 'seat_limit_reached':
      return { status, liveSeats: numbers[0] ?? 0 };
    case 'rate_limited':
      return { status, freeAgainAtMs: numbers[0] ?? 0 };
    default:
      return { status };
  }
}
