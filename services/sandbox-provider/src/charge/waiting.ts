/** Timers and waits that all end together when the process stops. */
export class Waiting {
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #waiters = new Map<string, Set<() => void>>();
  #stopped = false;

  /** Runs `work` at this time, unless `stop` comes first. */
  at(timeMs: number, work: () => void): void {
    if (this.#stopped) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        work();
      },
      Math.max(0, timeMs - Date.now()),
    );
    this.#timers.add(timer);
  }

  /** Resolves at `wake(name)`, after `timeoutMs`, or at the stop. */
  until(name: string, timeoutMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(name) ?? new Set();
      const done = () => {
        clearTimeout(timer);
        waiters.delete(done);
        if (waiters.size === 0) this.#waiters.delete(name);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.set(name, waiters.add(done));
    });
  }

  wake(name: string): void {
    for (const done of [...(this.#waiters.get(name) ?? [])]) done();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const name of [...this.#waiters.keys()]) this.wake(name);
  }
}
