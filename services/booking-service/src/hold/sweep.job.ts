import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { ConcertScripts } from '../engine/scripts.ts';

interface SweepOptions {
  scripts: ConcertScripts;
  concertIds: () => Iterable<ConcertId>;
  log: Logger;
  /** Hears of a concert whose state is not of this server's life. */
  onRecovering: (concertId: ConcertId) => void;
  onEnded?: (holds: number) => void;
}

/**
 * Ends the holds whose time is over: every 100 ms for concerts that have something due, at least once a second for each, so
 * that a concert in need of recovery is noticed. Several sweepers beside one another do no harm.
 */
export function startSweeper({ scripts, concertIds, log, onRecovering, onEnded }: SweepOptions): () => void {
  /** When each concert is looked at next, by this process' clock. */
  const dueAtMs = new Map<ConcertId, number>();
  let running = true;
  let timer: NodeJS.Timeout;

  const sweepConcert = async (concertId: ConcertId): Promise<void> => {
    for (;;) {
      const [status, ended, nextMs, redisNowMs] = await scripts.run('sweep', concertId, [
        limits.sweepMembersMax,
        limits.idempotencyWindowMs,
        limits.resendWindowMs,
      ]);
      if (status === 'recovering') {
        dueAtMs.set(concertId, Date.now() + limits.sweepIdleMs);
        return onRecovering(concertId);
      }
      if (Number(ended) > 0) onEnded?.(Number(ended));
      const waitMs = Number(nextMs) === -1 ? limits.sweepIdleMs : Number(nextMs) - Number(redisNowMs);
      dueAtMs.set(concertId, Date.now() + Math.min(Math.max(waitMs, 0), limits.sweepIdleMs));
      if (waitMs > 0 || !running) return;
    }
  };

  const tick = async (): Promise<void> => {
    for (const concertId of concertIds()) {
      if ((dueAtMs.get(concertId) ?? 0) > Date.now()) continue;
      try {
        await sweepConcert(concertId);
      } catch (error) {
        // While Redis is away nothing can be held either; its connection says so in the log.
        if (error instanceof UnavailableError) break;
        // One concert that cannot be swept must not keep the others from it.
        log.error({ err: error, concertId }, 'a sweep failed');
        dueAtMs.set(concertId, Date.now() + limits.sweepIdleMs);
      }
    }
    if (running) timer = setTimeout(tick, limits.sweepTickMs);
  };
  timer = setTimeout(tick, 0);
  return () => {
    running = false;
    clearTimeout(timer);
  };
}
