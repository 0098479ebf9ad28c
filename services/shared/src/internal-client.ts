import type { z } from 'zod';
import { signServiceToken } from './http/auth.ts';
import { callJson } from './http/client.ts';
import { UnavailableError } from './result.ts';

/** Calls another service's /internal routes: signed, timed, and checked against the contract. */
export function createInternalClient(baseUrl: string, secret: string, service: string, timeoutMs = 5_000) {
  /**
   * @returns the reply, as the contract's type. Every internal call is idempotent, so the caller may repeat it.
   * @throws UnavailableError when the other service does not answer, or answers 5xx.
   */
  return async <T extends z.ZodType>(
    method: 'POST' | 'PUT',
    path: string,
    body: unknown,
    reply: T,
  ): Promise<z.infer<T>> => {
    let answer: { status: number; text: string };
    try {
      answer = await callJson({
        method,
        url: `${baseUrl}${path}`,
        headers: { authorization: `Bearer ${signServiceToken(secret, service)}` },
        body: JSON.stringify(body),
        timeoutMs,
      });
    } catch (error) {
      throw new UnavailableError(`${path} did not answer: ${error instanceof Error ? error.message : String(error)}`);
    }
    const { status, text } = answer;
    if (status >= 500) throw new UnavailableError(`${path} answered ${status}`);
    if (status >= 400) throw new Error(`${method} ${path} answered ${status}: ${text.slice(0, 300)}`);
    return reply.parse(JSON.parse(text));
  };
}
export type InternalClient = ReturnType<typeof createInternalClient>;
