import { setTimeout as sleep } from 'node:timers/promises';
import { scopedIdSchema } from '@frontrow/shared/contracts/common.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import { DelayedError, type Job, type Queue } from 'bullmq';
import { z } from 'zod';
import type { DriveEnd } from './payment.drive.ts';

/** Asks a worker to drive a payment. Losing one loses nothing: the reconciler asks again. */
const driveRequest = z.strictObject({
  paymentId: scopedIdSchema,
  /** The attempt that a webhook told of. */
  attempt: z.number().int().min(1).optional(),
  /** The stored event that this answers; it is noted as processed when the drive came to rest. */
  event: z.strictObject({ provider: z.string(), id: z.string() }).optional(),
  /** The reconciler's: one drive, and no waiting for more; it will come round again. */
  once: z.literal(true).optional(),
});
export type DriveRequest = z.infer<typeof driveRequest>;
export type EnqueueDrive = (request: DriveRequest) => Promise<void>;

const enqueueTimeoutMs = 1_000;

/** @throws UnavailableError within a second when the queue's Redis is away. */
export function createEnqueue(queue: Queue): EnqueueDrive {
  // The connection says it when it is away; without a listener the queue would print it.
  queue.on('error', () => undefined);
  return async (request) => {
    // One job of the reconciler for a payment at a time, however long the queue is.
    const about = request.event?.id ?? request.paymentId;
    const options = request.once ? { deduplication: { id: `again-${about}` }, removeOnFail: true } : {};
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer')), enqueueTimeoutMs);
    });
    try {
      await Promise.race([queue.add('drive', request, options), late]);
    } catch (error) {
      throw new UnavailableError(`The queue is away: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      clearTimeout(timer);
    }
  };
}

export interface DriveJobDeps {
  drive: (paymentId: string, attempt?: number) => Promise<DriveEnd>;
  eventProcessed: (paymentId: string, event: { provider: string; id: string }) => Promise<void>;
  log: Logger;
}

/**
 * Drives until nothing is left to do. While somebody else has to answer first, the job waits in the queue, not in the worker,
 * but for one short wait for the booking.
 */
export function createDriveHandler({ drive, eventProcessed, log }: DriveJobDeps) {
  return async (job: Job<unknown, void>): Promise<void> => {
    const { paymentId, attempt, event, once } = driveRequest.parse(job.data);
    const driveOnce = () =>
      drive(paymentId, attempt).catch((error: unknown): DriveEnd => {
        if (error instanceof UnavailableError) {
          log.warn({ paymentId, reason: error.message }, 'a payment waits for a dependency');
          return { end: 'again', waitingFor: 'provider' };
        }
        log.error({ paymentId, err: error }, 'a payment could not be driven');
        throw error;
      });
    let end = await driveOnce();
    if (end.end === 'again' && end.waitingFor === 'booking') {
      // The booking is written within moments: to wait for that here costs less than a way through the queue.
      await sleep(waits.booking.firstMs);
      end = await driveOnce();
    }
    if (end.end === 'rest') {
      if (event !== undefined) await eventProcessed(paymentId, event);
      return;
    }
    if (once) return;
    await job.moveToDelayed(Date.now() + waitMs(end.waitingFor, job.attemptsStarted), job.token);
    throw new DelayedError();
  };
}

/** The booking is written within moments; the provider may take its time. */
const waits = { booking: { firstMs: 80, mostMs: 1_000 }, provider: { firstMs: 200, mostMs: 10_000 } };

/** @param times how often this job has been started, from 1. */
export function waitMs(waitingFor: 'provider' | 'booking', times: number): number {
  const { firstMs, mostMs } = waits[waitingFor];
  return Math.min(mostMs, firstMs * 2 ** Math.min(times - 1, 16));
}
