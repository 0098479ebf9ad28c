import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '@frontrow/shared/limits.ts';
import { mintTokens } from '../../scripts/tokens.ts';
import { type AuditReport, auditConcert } from '../audit/audit.ts';
import { openWitnesses, type Witnesses, waitForQuiet } from '../audit/load.ts';
import { readClientLog } from '../client-log.ts';
import type { Target } from '../target.ts';
import { type DurableSample, DurableWatch } from './durable.ts';
import { type Figures, figuresOf } from './figures.ts';
import { type K6Metrics, type K6Run, startK6 } from './k6-run.ts';
import { resetConcert } from './reset.ts';
import { ClientLogReader, count, emptyTally, type Tally } from './tally.ts';

export interface RushOptions {
  /** Path of the k6 that runs. */
  k6: string;
  concertId: number;
  fans: number;
  holdTtlMs: number;
  /** Fans who arrive in a second, over the whole rush; the default lets the last ones come when the first holds run out. */
  ratePerSecond?: number;
  watchers: number;
  /** True sends every request through the web origin instead of to the services' own ports. */
  throughOrigin?: boolean;
  /** Hears of each stage. */
  say?: (line: string) => void;
  /** Called ten times a second while fans are there. */
  onProgress?: (progress: Progress) => void;
}

export interface Progress {
  elapsedMs: number;
  tally: Tally;
  durable: DurableSample | undefined;
  /** What is still waited for, once the fans are gone. */
  waitingFor: string[];
}

export interface RushResult {
  passed: boolean;
  /** Why not; empty when it passed. */
  failures: string[];
  soldSeats: number;
  soldWanted: number;
  seats: number;
  figures: Figures;
  audit: AuditReport;
  clientLog: string;
  thresholdsCrossed: boolean;
}

const fansPerSecondMax = 80;
/** Eleven of twelve: 1,100 of the theatre's 1,200. */
const soldShareMin = 11 / 12;
const tickMs = 100;
const lookEveryMs = 250;

/** @returns how many fans arrive in a second, so that the last come after the first holds have run out. */
export const defaultRate = (fans: number, holdTtlMs: number): number =>
  Math.max(1, Math.min(fansPerSecondMax, Math.floor(fans / ((1.5 * holdTtlMs) / 1_000))));

/**
 * Resets the concert, lets the fans in, waits until everything is decided and stored, and audits.
 * @throws Error when the stack cannot be reached, the concert cannot be reset, or k6 does not run.
 */
export async function rush(target: Target, options: RushOptions): Promise<RushResult> {
  const { concertId, holdTtlMs, say = () => undefined } = options;
  const folder = join(target.dataDir, 'rush');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const witnesses = await openWitnesses(target.sources);
  let k6: K6Run | undefined;
  const killK6 = () => k6?.kill();
  process.once('exit', killK6);
  try {
    say(
      `Resetting concert ${concertId}: payments, the provider's ledger, bookings and seats; hold time ${holdTtlMs / 1_000} s ...`,
    );
    await resetConcert(target, witnesses, concertId, holdTtlMs);
    const tokensFile = writeTokens(target, folder, options.fans);
    k6 = startK6({ ...k6Options(target, options), folder, tokensFile });
    const { tally, durable, metrics, thresholdsCrossed } = await watchFans(k6, witnesses, options);
    say('The fans are gone. Waiting for the holds and payments that are left, and for MySQL ...');
    const notQuiet = await drain(witnesses, tally, durable, options);
    await durable.lookNow();
    say('Auditing ...');
    const clients = readClientLog(k6.clientLog);
    const audit = await auditConcert(witnesses, concertId, { waitMs: 10_000, clients });
    const figures = figuresOf(tally, durable.samples, metrics, options.fans);
    return { ...verdict(audit, notQuiet), figures, audit, clientLog: k6.clientLog, thresholdsCrossed };
  } finally {
    killK6();
    process.off('exit', killK6);
    await witnesses.close();
  }
}

function writeTokens({ jwtPrivateKeyFile }: Target, folder: string, fans: number): string {
  const file = join(folder, 'tokens.txt');
  const tokens = mintTokens({ privateKeyPem: readFileSync(jwtPrivateKeyFile, 'utf8'), count: fans });
  writeFileSync(file, `${tokens.join('\n')}\n`, { mode: 0o600 });
  return file;
}

function k6Options({ addresses }: Target, options: RushOptions) {
  const { k6, concertId, fans, watchers, holdTtlMs, throughOrigin } = options;
  const ratePerSecond = options.ratePerSecond ?? defaultRate(fans, holdTtlMs);
  const bookingUrl = throughOrigin ? addresses.origin : addresses.booking;
  const paymentUrl = throughOrigin ? addresses.origin : addresses.payment;
  return { k6, concertId, fans, watchers, holdTtlMs, ratePerSecond, bookingUrl, paymentUrl };
}

/** Counts and looks while k6 runs. */
async function watchFans(
  k6: K6Run,
  witnesses: Witnesses,
  { concertId, onProgress }: RushOptions,
): Promise<{ tally: Tally; durable: DurableWatch; metrics: K6Metrics; thresholdsCrossed: boolean }> {
  const startedMs = Date.now();
  const tally = emptyTally();
  const reader = new ClientLogReader(k6.clientLog);
  const durable = new DurableWatch(witnesses, concertId);
  const readOn = () => {
    for (const event of reader.read()) count(tally, event);
  };
  let isOver = false;
  const finished = k6.finished.finally(() => {
    isOver = true;
  });
  // Awaited below; until then a failure is not unhandled.
  finished.catch(() => undefined);
  for (let lookedMs = 0; !isOver; await sleep(tickMs)) {
    readOn();
    if (Date.now() - lookedMs >= lookEveryMs) {
      lookedMs = Date.now();
      durable.look();
    }
    onProgress?.({ elapsedMs: Date.now() - startedMs, tally, durable: durable.last, waitingFor: [] });
  }
  const { metrics, thresholdsCrossed } = await finished;
  readOn();
  return { tally, durable, metrics, thresholdsCrossed };
}

/** @returns what has not come to an end in time. */
async function drain(
  witnesses: Witnesses,
  tally: Tally,
  durable: DurableWatch,
  options: RushOptions,
): Promise<string[]> {
  const { concertId, holdTtlMs, onProgress } = options;
  const startedMs = Date.now();
  // The longest that anything may last: a hold, extended by a payment, and the payment's own end.
  const waitMs = holdTtlMs + 2 * limits.paymentGraceMs;
  const onWait = (waitingFor: string[]) => {
    durable.look();
    onProgress?.({ elapsedMs: Date.now() - startedMs, tally, durable: durable.last, waitingFor });
  };
  return waitForQuiet(witnesses, concertId, { waitMs, holds: true, onWait });
}

function verdict(audit: AuditReport, notQuiet: string[]) {
  const { sold, total, blocked } = audit.seats;
  const soldWanted = Math.ceil((total - blocked) * soldShareMin);
  const failures = notQuiet.map((reason) => `it did not come to rest: ${reason}`);
  if (sold < soldWanted) failures.push(`${sold} seats are sold in MySQL, ${soldWanted} of ${total} are wanted`);
  if (!audit.passed) failures.push('the audit found violations');
  return { passed: failures.length === 0, failures, soldSeats: sold, soldWanted, seats: total };
}
