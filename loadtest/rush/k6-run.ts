import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../../scripts/stack/files.ts';

export interface K6Options {
  k6: string;
  folder: string;
  bookingUrl: string;
  paymentUrl: string;
  concertId: number;
  tokensFile: string;
  fans: number;
  ratePerSecond: number;
  watchers: number;
  holdTtlMs: number;
}

export interface K6Run {
  clientLog: string;
  /** Resolves when k6 is done. @throws Error with the end of its log when it could not run the scenario. */
  finished: Promise<{ thresholdsCrossed: boolean; metrics: K6Metrics }>;
  kill(): void;
}

const summarySchema = z.object({
  metrics: z.record(z.string(), z.object({ type: z.string(), values: z.record(z.string(), z.number()) })),
});
export type K6Metrics = z.infer<typeof summarySchema>['metrics'];

/** k6's exit code when every iteration ran and a threshold was crossed. */
const thresholdsCode = 99;

export function startK6(options: K6Options): K6Run {
  const { k6, folder } = options;
  const [clientLog, summaryFile, logFile] = ['client.jsonl', 'k6-summary.json', 'k6.log'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  for (const file of [clientLog, summaryFile, logFile]) rmSync(file, { force: true });
  const log = openSync(logFile, 'w');
  const child = spawn(
    k6,
    [
      'run',
      '--quiet',
      '--no-usage-report',
      '--log-format',
      'raw',
      '--console-output',
      clientLog,
      // Any free port: another k6 may have the default one.
      '--address',
      '127.0.0.1:0',
      join(projectRoot, 'loadtest/scenarios/rush.ts'),
    ],
    { stdio: ['ignore', log, log], env: { ...inherited(), ...environmentOf(options, summaryFile) } },
  );
  closeSync(log);
  const finished = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  }).then((code) => {
    const thresholdsCrossed = code === thresholdsCode;
    if (code !== 0 && !thresholdsCrossed) {
      throw new Error(`k6 ended with ${code ?? 'a signal'}:\n${readFileSync(logFile, 'utf8').slice(-2_000)}`);
    }
    return { thresholdsCrossed, metrics: summarySchema.parse(JSON.parse(readFileSync(summaryFile, 'utf8'))).metrics };
  });
  return { clientLog, finished, kill: () => child.kill('SIGKILL') };
}

function environmentOf(options: K6Options, summaryFile: string): Record<string, string> {
  return {
    BOOKING_URL: options.bookingUrl,
    PAYMENT_URL: options.paymentUrl,
    CONCERT_ID: String(options.concertId),
    TOKENS_FILE: options.tokensFile,
    SUMMARY_FILE: summaryFile,
    FANS: String(options.fans),
    RATE: String(options.ratePerSecond),
    WATCHERS: String(options.watchers),
    HOLD_TTL_MS: String(options.holdTtlMs),
  };
}

/** Not the whole environment: K6_* variables of somebody's shell would change the scenario. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'GOMAXPROCS'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
