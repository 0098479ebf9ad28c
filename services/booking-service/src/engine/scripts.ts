import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import { keysOf } from './keys.ts';

/** Every status that a script can answer; scripts.test.ts checks it against the Lua sources. */
export const scriptStatuses = {
  hold: [
    'recovering',
    'done',
    'held',
    'resent',
    'hold_ended',
    'idempotency_key_reused',
    'sale_not_open',
    'sale_paused',
    'sale_closed',
    'seat_limit_reached',
    'rate_limited',
    'seats_taken',
  ],
  begin: [
    'recovering',
    'not_found',
    'already_paid',
    'hold_expired',
    'stale_attempt',
    'payment_attempts_exhausted',
    'begun',
  ],
  release_pay: ['recovering', 'not_found', 'stale_attempt', 'released'],
  release: ['recovering', 'not_found', 'payment_pending', 'already_paid', 'released'],
  settle: ['recovering', 'sold', 'lost'],
  cancel: ['recovering', 'cancelled'],
  sweep: ['recovering', 'swept'],
  snapshot: ['recovering', 'snapshot'],
  find: ['recovering', 'not_found', 'found'],
  restore: ['done', 'stale_epoch'],
} as const;
export type ScriptName = keyof typeof scriptStatuses;
export type StatusOf<N extends ScriptName> = (typeof scriptStatuses)[N][number];
export const scriptNames = Object.keys(scriptStatuses) as ScriptName[];

/** Conditions in the scripts that a control test may take out, to show the fault that they prevent. */
export const guards = ['seats_free', 'seat_limit', 'settle_seats_free'] as const;
export type Guard = (typeof guards)[number];

interface SourceOptions {
  /** Test only: leaves these guards out. */
  withoutGuards?: readonly Guard[];
  /** Test only: another text for an included file, such as a clock that a test moves. */
  replace?: Readonly<Record<string, string>>;
}

/** @returns the script's text with its includes, as it is sent to Redis. */
export function scriptSource(name: ScriptName, options: SourceOptions = {}): string {
  const read = (file: string): string =>
    options.replace?.[file] ?? readFileSync(new URL(`./lua/${file}`, import.meta.url), 'utf8');
  const include = (text: string): string =>
    text.replaceAll(/^--#include (\S+)$/gm, (_, file: string) => include(read(file)));
  let source = include(read(`${name}.lua`));
  for (const guard of options.withoutGuards ?? []) {
    source = source.replaceAll(new RegExp(`--\\[\\[guard:${guard}\\]\\][\\s\\S]*?--\\[\\[/guard\\]\\]`, 'g'), '');
  }
  return source;
}

/** The part of a Redis connection that running a script takes. */
export interface ScriptRunner {
  evalsha(sha: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
  eval(source: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
}

/** Runs the scripts of one Redis by their SHA, and by their text when the server has lost its cache. */
export class ConcertScripts {
  readonly #redis: ScriptRunner;
  readonly #loaded: Map<ScriptName, { source: string; sha: string }>;

  constructor(redis: ScriptRunner, options: SourceOptions = {}) {
    this.#redis = redis;
    this.#loaded = new Map(
      scriptNames.map((name) => {
        const source = scriptSource(name, options);
        return [name, { source, sha: createHash('sha1').update(source).digest('hex') }];
      }),
    );
  }

  /**
   * @returns the script's reply: its status first, then what lua/<name>.lua says.
   * @throws UnavailableError when Redis does not answer in time; the script may have run, and running it again with the
   * same arguments is safe.
   */
  async run<N extends ScriptName>(
    name: N,
    concertId: ConcertId,
    args: (string | number)[],
  ): Promise<[StatusOf<N>, ...unknown[]]> {
    const script = this.#loaded.get(name);
    if (script === undefined) throw new RangeError(`There is no script ${name}.`);
    const keys = keysOf(concertId).all;
    let reply: unknown;
    try {
      reply = await this.#redis.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: unknown) => {
        if (error instanceof Error && error.message.startsWith('NOSCRIPT'))
          return this.#redis.eval(script.source, keys.length, ...keys, ...args);
        throw error;
      });
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError' && !isServerAway(error.message)) throw error;
      throw new UnavailableError(`redis: ${error instanceof Error ? error.message : String(error)}`);
    }
    return reply as [StatusOf<N>, ...unknown[]];
  }
}

/**
 * Runs a script until it answers something else than `recovering`, with the same arguments each time: every script is safe
 * to run twice.
 * @throws UnavailableError at the deadline.
 */
export async function runUntilAnswered<N extends ScriptName>(
  scripts: ConcertScripts,
  name: N,
  concertId: ConcertId,
  args: (string | number)[],
): Promise<[Exclude<StatusOf<N>, 'recovering'>, ...unknown[]]> {
  const deadline = Date.now() + limits.holdDeadlineMs;
  for (;;) {
    let reason = 'the concert is recovering';
    try {
      const reply = await scripts.run(name, concertId, args);
      if (reply[0] !== 'recovering') return reply as [Exclude<StatusOf<N>, 'recovering'>, ...unknown[]];
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      reason = error.message;
    }
    if (Date.now() >= deadline) throw new UnavailableError(reason);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Replies of a server that is starting, stopping, full, or no longer the master. */
const isServerAway = (message: string): boolean =>
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF|BUSY)/.test(message);
