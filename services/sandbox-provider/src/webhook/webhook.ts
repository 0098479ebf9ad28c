import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebhookEvent, webhookSignatureHeader } from '@frontrow/shared/contracts/provider.ts';
import { callJson } from '@frontrow/shared/http/client.ts';
import type { Logger } from '@frontrow/shared/log.ts';

interface SenderOptions {
  url: string;
  secret: string;
  log: Logger;
  /** Waits before the second, third, … try. */
  backoffMs?: readonly number[];
}

const defaultBackoffMs = [200, 1_000, 5_000, 15_000, 30_000];
const replyTimeoutMs = 5_000;
const sendingMax = 32;
const waitingMax = 20_000;

/** @returns the value of the signature header (see the contract). */
export function signWebhook(secret: string, rawBody: string, unixSeconds: number): string {
  const mac = createHmac('sha256', secret).update(`${unixSeconds}.${rawBody}`).digest('hex');
  return `t=${unixSeconds},v1=${mac}`;
}

/** Delivers events until the merchant answers 2xx, a bounded number of times. */
export class WebhookSender {
  readonly #options: SenderOptions;
  readonly #stopping = new AbortController();
  readonly #queue: (() => void)[] = [];
  #sending = 0;
  #waiting = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** @returns true when the merchant took it. Never rejects: an event is a doorbell, the ledger is the truth. */
  async send(event: WebhookEvent): Promise<boolean> {
    const { log, backoffMs = defaultBackoffMs } = this.#options;
    const about = { event: event.id, type: event.type };
    if (this.#waiting >= waitingMax) {
      log.warn(about, 'too many webhooks wait: this one is dropped');
      return false;
    }
    this.#waiting += 1;
    try {
      for (const waitMs of [0, ...backoffMs]) {
        if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#stopping.signal });
        if (this.#stopping.signal.aborted) return false;
        if (await this.#inTurn(() => this.#post(event))) return true;
      }
      log.warn(about, 'the merchant does not take this webhook: given up');
      return false;
    } catch {
      // Only the wait rejects, and only at the stop.
      return false;
    } finally {
      this.#waiting -= 1;
    }
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #post(event: WebhookEvent): Promise<boolean> {
    const body = JSON.stringify(event);
    const signature = signWebhook(this.#options.secret, body, Math.floor(Date.now() / 1_000));
    try {
      const { status } = await callJson({
        method: 'POST',
        url: this.#options.url,
        headers: { [webhookSignatureHeader]: signature },
        body,
        timeoutMs: replyTimeoutMs,
        signal: this.#stopping.signal,
      });
      return status < 300;
    } catch {
      return false;
    }
  }

  /** At most `sendingMax` requests at once. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#sending >= sendingMax) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#sending += 1;
    try {
      return await work();
    } finally {
      // The next one takes over this one's place.
      const next = this.#queue.shift();
      if (next) next();
      else this.#sending -= 1;
    }
  }
}
