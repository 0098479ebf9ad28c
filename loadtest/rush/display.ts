/** Shows how it goes: one line that is rewritten on a terminal, a line every few seconds elsewhere. */
export class Display {
  readonly #stream: NodeJS.WriteStream;
  #lastMs = 0;
  #shown = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  /** A line that stays. */
  say(line: string): void {
    this.#wipe();
    this.#stream.write(`${line}\n`);
  }

  /** The state of this moment; the next one takes its place. */
  show(line: string): void {
    const everyMs = this.#stream.isTTY ? 200 : 5_000;
    if (Date.now() - this.#lastMs < everyMs) return;
    this.#lastMs = Date.now();
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#wipe();
    this.#stream.write(line.slice(0, Math.max(20, this.#stream.columns - 1)));
    this.#shown = true;
  }

  #wipe(): void {
    if (this.#shown) this.#stream.write('\r\x1b[2K');
    this.#shown = false;
  }
}
