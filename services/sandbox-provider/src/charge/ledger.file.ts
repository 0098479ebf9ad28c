import { mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Lines that are on disk before `append` resolves: what comes while a batch is being written goes into the next one, and a
 * batch costs one fsync. After a failed write every later one fails too, so nothing is answered that the file does not have.
 */
export class LedgerFile {
  readonly #handle: FileHandle;
  #waiting: string[] = [];
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @returns the file and the lines it has. A last line without its end was cut by a crash before anybody was told: it goes. */
  static async open(path: string): Promise<{ file: LedgerFile; lines: string[] }> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, 'a', 0o600);
    const bytes = readFileSync(path);
    const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
    if (whole.length < bytes.length) truncateSync(path, whole.length);
    const lines = whole.toString('utf8').split('\n').slice(0, -1);
    return { file: new LedgerFile(handle), lines };
  }

  append(line: string): Promise<void> {
    this.#waiting.push(line);
    this.#next ??= this.#running.then(() => this.#writeBatch());
    return this.#next;
  }

  /** Resolves when everything appended so far is on disk. */
  settled(): Promise<void> {
    return this.#next ?? this.#running;
  }

  async close(): Promise<void> {
    await this.settled().catch(() => {});
    await this.#handle.close();
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    if (this.#next) this.#running = this.#next;
    this.#next = null;
    await this.#handle.appendFile(batch.map((line) => `${line}\n`).join(''));
    await this.#handle.datasync();
  }
}
