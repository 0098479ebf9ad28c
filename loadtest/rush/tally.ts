import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import type { ClientEvent, FanOutcome } from '../client-event.ts';
import { parseClientLines } from '../client-log.ts';

/** Counts of what clients saw, kept while the log grows. */
export interface Tally {
  accepted: number;
  acceptedSeats: number;
  refused: Map<string, number>;
  payments: number;
  declined: number;
  confirmed: number;
  fans: number;
  outcomes: Map<FanOutcome, number>;
  unexpected: Map<string, number>;
  firstAcceptedMs: number | null;
  lastAcceptedMs: number | null;
  firstRefusedMs: number | null;
  lastRefusedMs: number | null;
  /** 201s in each second, by the client's clock. */
  acceptedBySecond: Map<number, number>;
}

export const emptyTally = (): Tally => ({
  accepted: 0,
  acceptedSeats: 0,
  refused: new Map(),
  payments: 0,
  declined: 0,
  confirmed: 0,
  fans: 0,
  outcomes: new Map(),
  unexpected: new Map(),
  firstAcceptedMs: null,
  lastAcceptedMs: null,
  firstRefusedMs: null,
  lastRefusedMs: null,
  acceptedBySecond: new Map(),
});

export function count(tally: Tally, event: ClientEvent): void {
  switch (event.e) {
    case 'hold':
      tally.accepted += 1;
      tally.acceptedSeats += event.seats.length;
      tally.firstAcceptedMs = Math.min(tally.firstAcceptedMs ?? event.at, event.at);
      tally.lastAcceptedMs = Math.max(tally.lastAcceptedMs ?? event.at, event.at);
      add(tally.acceptedBySecond, Math.floor(event.at / 1_000));
      return;
    case 'refused':
      tally.firstRefusedMs = Math.min(tally.firstRefusedMs ?? event.at, event.at);
      tally.lastRefusedMs = Math.max(tally.lastRefusedMs ?? event.at, event.at);
      return add(tally.refused, event.code);
    case 'payment':
      tally.payments += 1;
      return;
    case 'declined':
      tally.declined += 1;
      return;
    case 'confirmed':
      tally.confirmed += 1;
      return;
    case 'fan':
      tally.fans += 1;
      return add(tally.outcomes, event.outcome);
    case 'unexpected':
      return add(tally.unexpected, `${event.call} ${event.status} ${event.code}`);
    case 'released':
      return;
  }
}

/** Reads what was added to a file since the last call. */
export class ClientLogReader {
  readonly #file: string;
  readonly #chunk = Buffer.alloc(256 * 1024);
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#file = file;
  }

  read(): ClientEvent[] {
    if (!existsSync(this.#file)) return [];
    const descriptor = openSync(this.#file, 'r');
    try {
      const events: ClientEvent[] = [];
      for (;;) {
        const bytes = readSync(descriptor, this.#chunk, 0, this.#chunk.length, this.#offset);
        if (bytes === 0) return events;
        this.#offset += bytes;
        // A chunk may end inside a character, so whole lines are decoded only.
        const text = Buffer.concat([this.#rest, this.#chunk.subarray(0, bytes)]);
        const end = text.lastIndexOf(0x0a) + 1;
        this.#rest = text.subarray(end);
        events.push(...parseClientLines(text.toString('utf8', 0, end)).events);
      }
    } finally {
      closeSync(descriptor);
    }
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
