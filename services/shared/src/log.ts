import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * One JSON line an event. Secrets never reach it: the request log writes only the fields it names, and what could carry a
 * credential by its name is removed here as a second guard.
 */
export function createLogger(processName: string, level: string): Logger {
  return pino({
    level,
    base: { process: processName, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'password',
        'token',
        'accessToken',
        'secret',
        'authorization',
        '*.password',
        '*.token',
        '*.accessToken',
        '*.secret',
        '*.authorization',
        '*.cookie',
      ],
      censor: '[removed]',
    },
  });
}
