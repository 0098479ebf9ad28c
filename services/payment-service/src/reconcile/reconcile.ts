import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import type { Database } from '@frontrow/shared/mysql/pool.ts';
import {
  type EventCursor,
  findUnfinished,
  findUnprocessed,
  type PaymentCursor,
  type UnprocessedEvent,
} from './reconcile.repo.ts';

export interface ReconcileDeps {
  shards: readonly Database[];
  /** The statuses from which a worker goes on by itself. */
  statuses: readonly string[];
  enqueue: (found: { paymentId: string } | UnprocessedEvent) => Promise<void>;
  count: (found: number) => void;
}
interface Options {
  /** A payment or event that nothing moved for this long is somebody's crash. */
  idleMs?: number;
  batchMax?: number;
}

/**
 * Finds what a crash left: payments that stand still on their way, and webhooks that were stored and never driven. Each tick
 * takes one bounded batch of each kind from each shard and goes on where the last one stopped, so rows that wait for long do
 * not hide those behind them.
 * @returns one tick; how many it found.
 */
export function createReconciler(deps: ReconcileDeps, options: Options = {}): () => Promise<number> {
  const { idleMs = limits.reconcileAfterMs, batchMax = limits.reconcileBatchMax } = options;
  const paymentCursors = new Map<string, PaymentCursor | null>();
  const eventCursors = new Map<number, EventCursor | null>();

  const payments = async (shard: Database, index: number, status: string): Promise<number> => {
    const name = `${index} ${status}`;
    const after = paymentCursors.get(name) ?? null;
    const { ids, last } = await findUnfinished(shard, status, { idleMs, after, max: batchMax });
    for (const paymentId of ids) await deps.enqueue({ paymentId });
    paymentCursors.set(name, ids.length < batchMax ? null : last);
    return ids.length;
  };
  const events = async (shard: Database, index: number): Promise<number> => {
    const after = eventCursors.get(index) ?? null;
    const found = await findUnprocessed(shard, { idleMs, after, max: batchMax });
    for (const event of found.events) await deps.enqueue(event);
    eventCursors.set(index, found.events.length < batchMax ? null : found.last);
    return found.events.length;
  };
  return async () => {
    let found = 0;
    for (const [index, shard] of deps.shards.entries()) {
      for (const status of deps.statuses) found += await payments(shard, index, status);
      found += await events(shard, index);
    }
    deps.count(found);
    return found;
  };
}

/** Runs ticks one after another until it is stopped. A failed tick is said and tried again. */
export function startReconciler(tick: () => Promise<number>, log: Logger, everyMs: number = limits.reconcileTickMs) {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const run = async () => {
    try {
      await tick();
    } catch (error) {
      log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'the reconciler could not look');
    }
    if (!stopped) schedule();
  };
  const schedule = () => {
    timer = setTimeout(() => {
      running = run();
    }, everyMs);
  };
  schedule();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
