import { sleep } from 'k6';
import http, { type RefinedResponse } from 'k6/http';
import type { Trend } from 'k6/metrics';
import { record } from './record.ts';

/** An answer: its status (0 when none came), the problem's code of a refusal, and the body. */
export interface Answer {
  status: number;
  code: string;
  response: RefinedResponse<'text'>;
}

// Refusals are answers too: only what is none counts as failed.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 499 }));

export interface Call {
  /** Groups the figures: the same for every id in the address. */
  name: string;
  token?: string;
  /** Makes the call safe to repeat. */
  key?: string;
  body?: unknown;
  /** Measures the answered calls. */
  trend?: Trend;
}

const triesMax = 12;
const pauseS = 0.5;

/**
 * One call. When no answer comes or the service cannot answer now (503), it is made again, as a patient browser would:
 * the Idempotency-Key makes that safe. What is left after that is reported as unexpected.
 */
function call(method: string, url: string, { name, token, key, body, trend }: Call): Answer {
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (key !== undefined) headers['idempotency-key'] = key;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const payload = body === undefined ? null : JSON.stringify(body);
  for (let tries = 1; ; tries += 1) {
    const response = http.request(method, url, payload, {
      headers,
      tags: { name },
      responseType: 'text',
      timeout: '10s',
    });
    const { status } = response;
    if (status !== 0) trend?.add(response.timings.duration);
    if (status !== 0 && status !== 503) {
      const code = status >= 400 ? problemCode(response) : '';
      if (status >= 500) record({ e: 'unexpected', at: Date.now(), call: name, status, code });
      return { status, code, response };
    }
    const code = status === 0 ? 'no_answer' : problemCode(response);
    if (tries >= triesMax) {
      record({ e: 'unexpected', at: Date.now(), call: name, status, code });
      return { status, code, response };
    }
    sleep(pauseS * (0.5 + Math.random()));
  }
}

export const get = (url: string, options: Call): Answer => call('GET', url, options);
export const post = (url: string, options: Call): Answer => call('POST', url, options);
export const del = (url: string, options: Call): Answer => call('DELETE', url, options);

/** The body as the API documents it; a scenario does not check the shape again. */
export function bodyOf<T>(answer: Answer): T {
  return JSON.parse(answer.response.body) as T;
}

/** The stable code of a problem document (RFC 9457). */
function problemCode(response: RefinedResponse<'text'>): string {
  try {
    const { code } = JSON.parse(response.body) as { code?: string };
    return code ?? `status_${response.status}`;
  } catch {
    return `status_${response.status}`;
  }
}
