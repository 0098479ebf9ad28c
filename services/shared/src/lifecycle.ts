import { EnvError } from './env.ts';
import type { Logger } from './log.ts';

/**
 * Runs a process from its start to its end: `start` composes it and returns what SIGTERM and SIGINT must do (stop accepting,
 * finish what is in flight, close). A wrong environment ends it with every fault named; anything else unexpected is logged
 * and ends it, because a process in an unknown state must not go on selling.
 */
export function runProcess(log: Logger, start: () => Promise<() => Promise<void>>): void {
  let stop: (() => Promise<void>) | null = null;
  let ending = false;
  const end = async (signal: string) => {
    if (ending) return;
    ending = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), 15_000).unref();
    try {
      await stop?.();
      log.info('stopped');
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'the stop failed');
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  process.on('SIGINT', () => void end('SIGINT'));
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception');
    process.exit(1);
  });
  process.on('unhandledRejection', (reason) => {
    log.fatal({ err: reason }, 'unhandled rejection');
    process.exit(1);
  });
  start().then(
    (stopper) => {
      stop = stopper;
    },
    (error: unknown) => {
      if (error instanceof EnvError) process.stderr.write(`${error.message}\n`);
      else log.fatal({ err: error }, 'the start failed');
      process.exit(1);
    },
  );
}
