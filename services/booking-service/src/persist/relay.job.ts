import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { concertOfLiveChannel, durableLine, keysOf } from '../engine/keys.ts';
import { type LogPlace, lastInLog, placeOf } from '../engine/log.ts';
import type { PersistJob } from './persist.job.ts';
import { isBefore } from './persist.ts';

interface RelayOptions {
  redis: Redis;
  subscriber: Redis;
  queue: Queue;
  concertIds: () => Iterable<ConcertId>;
  log: Logger;
}

interface Lane {
  /** The newest change that was seen. */
  seen: LogPlace;
  /** The newest change that is known to be stored. */
  durable: LogPlace;
  inFlight: { to: LogPlace; sinceMs: number } | null;
  repeats: number;
  polledAtMs: number;
}

const nowhere: LogPlace = { epoch: 0, n: -1 };

/**
 * Turns log entries into jobs: one job per concert in flight, so that order is kept and a job carries what came in while the
 * one before it ran. It keeps nothing that matters: a second relay, or a relay that starts anew, asks for work that is done
 * once, because the cursor stands with the rows.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #lanes = new Map<ConcertId, Lane>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
    options.subscriber.on('smessage', (channel: string, message: string) =>
      this.#receive(concertOfLiveChannel(channel), message),
    );
  }

  start(): void {
    const tick = async () => {
      try {
        await this.#tick();
      } catch (error) {
        // A server is away: the connections say so in the log; nothing is lost, for the log is kept until it is stored.
        this.#options.log.debug({ reason: error instanceof Error ? error.message : String(error) }, 'the relay waits');
      }
      if (this.#timer !== null) this.#timer = setTimeout(tick, limits.relayTickMs);
    };
    this.#timer = setTimeout(tick, 0);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Entries seen but not known to be stored, over all concerts. */
  get backlog(): number {
    let sum = 0;
    for (const { seen, durable } of this.#lanes.values())
      if (isBefore(durable, seen)) sum += seen.epoch === durable.epoch ? seen.n - durable.n : seen.n + 1;
    return sum;
  }

  /** The newest change of a concert that this process has seen live. */
  seen(concertId: ConcertId): LogPlace {
    return this.#lanes.get(concertId)?.seen ?? nowhere;
  }

  async #tick(): Promise<void> {
    for (const concertId of this.#options.concertIds()) {
      const lane = this.#lanes.get(concertId) ?? (await this.#open(concertId));
      if (Date.now() - lane.polledAtMs >= limits.relayPollMs) await this.#poll(concertId, lane);
      await this.#enqueue(concertId, lane);
    }
  }

  async #open(concertId: ConcertId): Promise<Lane> {
    const lane: Lane = { seen: nowhere, durable: nowhere, inFlight: null, repeats: 0, polledAtMs: 0 };
    await this.#options.subscriber.ssubscribe(keysOf(concertId).live);
    this.#lanes.set(concertId, lane);
    return lane;
  }

  /** A publication may be lost: look at the log itself now and then. */
  async #poll(concertId: ConcertId, lane: Lane): Promise<void> {
    lane.polledAtMs = Date.now();
    const last = await lastInLog(this.#options.redis, concertId);
    if (last !== null) see(lane, last);
  }

  async #enqueue(concertId: ConcertId, lane: Lane): Promise<void> {
    if (lane.inFlight !== null) {
      if (Date.now() - lane.inFlight.sinceMs < limits.relayJobTimeoutMs) return;
      // Its worker may be dead. Another job beside it does no harm.
      lane.inFlight = null;
      lane.repeats += 1;
    }
    if (!isBefore(lane.durable, lane.seen)) return;
    const to = lane.seen;
    const job: PersistJob = { concertId, to };
    lane.inFlight = { to, sinceMs: Date.now() };
    try {
      await this.#options.queue.add('range', job, {
        jobId: `persist-${concertId}-${to.epoch}-${to.n}-${lane.repeats}`,
      });
    } catch (error) {
      lane.inFlight = null;
      throw error;
    }
  }

  #receive(concertId: ConcertId, message: string): void {
    const lane = this.#lanes.get(concertId);
    if (lane === undefined) return;
    // Lines are in order: the last one says it all.
    const line = message.slice(message.lastIndexOf('\n') + 1);
    const [id = '', rest = ''] = line.split('|', 2);
    if (id !== durableLine) return see(lane, placeOf(id));
    const durable = placeOf(rest);
    if (isBefore(lane.durable, durable)) lane.durable = durable;
    if (lane.inFlight !== null && !isBefore(durable, lane.inFlight.to)) {
      lane.inFlight = null;
      lane.repeats = 0;
    }
  }
}

function see(lane: Lane, place: LogPlace): void {
  if (!isBefore(lane.seen, place)) return;
  // A new life of Redis may have forgotten the job: do not wait for it.
  if (place.epoch > lane.seen.epoch) lane.inFlight = null;
  lane.seen = place;
}
