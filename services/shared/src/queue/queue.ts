import { type Job, Queue, type QueueOptions, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from '../log.ts';

/** The queues of the system: each has a hash tag of its own, so that Redis Cluster keeps a queue on one slot. */
export const queueNames = { persist: 'persist', payments: 'payments' } as const;
export type QueueName = keyof typeof queueNames;

const prefixOf = (name: QueueName): string => `{frontrow-${name}}`;

export function openQueue(name: QueueName, connection: Redis): Queue {
  const options: QueueOptions = {
    connection,
    prefix: prefixOf(name),
    defaultJobOptions: { removeOnComplete: true, removeOnFail: { count: 1_000 } },
  };
  return new Queue(queueNames[name], options);
}

/** Delivery is at least once and unordered: `handle` must be safe to run twice, and beside itself. */
export function openWorker<T, R>(
  name: QueueName,
  connection: Redis,
  options: { concurrency: number; log: Logger },
  handle: (job: Job<T, R>) => Promise<R>,
): Worker<T, R> {
  const worker = new Worker<T, R>(queueNames[name], handle, {
    connection,
    prefix: prefixOf(name),
    concurrency: options.concurrency,
    // A killed worker's jobs are taken up by another after at most lock + stall check.
    lockDuration: 10_000,
    stalledInterval: 5_000,
    maxStalledCount: 10,
  });
  worker.on('failed', (job, error) =>
    options.log.warn({ queue: name, job: job?.id, reason: error.message }, 'a job failed'),
  );
  worker.on('error', (error) => options.log.warn({ queue: name, reason: error.message }, 'the queue is away'));
  return worker;
}
