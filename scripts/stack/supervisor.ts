import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from './launch.ts';

/** How a process is started; resolves when it is ready. Used again whenever it has died. */
export type Launch = (onSpawn: (pid: number) => void, signal: AbortSignal) => Promise<Running>;

export interface SupervisorOptions {
  say: (line: string) => void;
  /** Called when a process was spawned or has ended. */
  onChange: () => void;
  /** A death within this time after the start is a quick one. */
  quickMs?: number;
  /** After so many quick deaths in a row the process is given up, loudly. */
  quickDeathsMax?: number;
  /** The first pause before a restart; doubled with each quick death, up to `pauseMaxMs`. */
  pauseMs?: number;
  pauseMaxMs?: number;
}

type State = 'stopped' | 'starting' | 'running' | 'waiting' | 'stopping' | 'failed';

/**
 * Keeps one process alive: says when it dies, starts it again, and gives up when it keeps dying at once.
 * A class, because it is a state: everything else of the stack is functions.
 */
export class Supervised {
  readonly name: string;
  state: State = 'stopped';
  /** Of the living process; undefined when there is none. */
  pid: number | undefined;
  restarts = 0;

  readonly #launch: Launch;
  readonly #options: Required<SupervisorOptions>;
  #running: Running | undefined;
  #quickDeaths = 0;
  #abort = new AbortController();
  #starting: Promise<void> | undefined;

  constructor(name: string, launch: Launch, options: SupervisorOptions) {
    this.name = name;
    this.#launch = launch;
    this.#options = { quickMs: 10_000, quickDeathsMax: 5, pauseMs: 250, pauseMaxMs: 5_000, ...options };
  }

  /** Starts the process; resolves when it is ready. @throws Error when this first start fails: it is not tried again. */
  start(): Promise<void> {
    if (this.state === 'running' || this.#starting) return this.#starting ?? Promise.resolve();
    this.#abort = new AbortController();
    this.#quickDeaths = 0;
    return this.#begin();
  }

  /** Ends the process, or its start, or the pause before its next start; it stays down. */
  async stop(): Promise<void> {
    const down = this.state === 'stopped' || this.state === 'failed';
    if (down && !this.#starting) return;
    this.#set('stopping');
    this.#abort.abort();
    await this.#starting?.catch(() => undefined);
    await this.#running?.stop();
    this.#set('stopped');
  }

  /** Sends a signal, as from outside: a death by it is noticed and answered like any other. */
  kill(signal: NodeJS.Signals): void {
    if (this.#running) this.#running.kill(signal);
    else if (this.pid !== undefined) killPid(this.pid, signal);
  }

  /** Ends it by force; it does not come back. Needs no await. */
  killForGood(): void {
    this.#set('stopping');
    this.#abort.abort();
    this.kill('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  #begin(): Promise<void> {
    this.#set('starting');
    const starting = this.#launchOnce().finally(() => {
      if (this.#starting === starting) this.#starting = undefined;
    });
    this.#starting = starting;
    return starting;
  }

  async #launchOnce(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const running = await this.#launch((pid) => {
        this.pid = pid;
        this.#options.onChange();
      }, signal);
      this.pid = running.pid;
      this.#running = running;
      if (!signal.aborted) this.#set('running');
      void this.#watch(running, Date.now());
    } catch (error) {
      this.pid = undefined;
      this.#set(signal.aborted ? 'stopped' : 'failed');
      throw error;
    }
  }

  /** Waits for the death of one life of the process and answers it. */
  async #watch(running: Running, startedAt: number): Promise<void> {
    const how = await running.exited;
    if (this.#running === running) {
      this.#running = undefined;
      this.pid = undefined;
    }
    this.#options.onChange();
    if (this.state !== 'running') return;
    this.#quickDeaths = Date.now() - startedAt < this.#options.quickMs ? this.#quickDeaths + 1 : 0;
    await this.#revive(`died (${how})`);
  }

  async #revive(reason: string): Promise<void> {
    const { say, quickDeathsMax, pauseMs, pauseMaxMs } = this.#options;
    const { signal } = this.#abort;
    for (let why = reason; ; this.#quickDeaths++) {
      if (this.#quickDeaths >= quickDeathsMax) {
        this.#set('failed');
        say(`!! ${this.name} ${why}. It has died ${quickDeathsMax} times at once and is NOT started again.`);
        return;
      }
      const wait = Math.min(pauseMs * 2 ** this.#quickDeaths, pauseMaxMs);
      this.#set('waiting');
      say(`!! ${this.name} ${why}. Starting it again in ${(wait / 1000).toFixed(1)} s ...`);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        this.restarts++;
        await this.#begin();
        if (!signal.aborted) say(`   ${this.name} runs again (process ${this.pid}).`);
        return;
      } catch (error) {
        if (signal.aborted) return;
        why = `did not come up: ${error instanceof Error ? error.message : error}`;
      }
    }
  }

  #set(state: State): void {
    this.state = state;
    this.#options.onChange();
  }
}

/** A process that is not ready yet is known by its number only, and may have ended this very moment. */
function killPid(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    return;
  }
}
