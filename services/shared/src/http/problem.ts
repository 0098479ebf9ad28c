import { type ErrorCode, type ErrorEntry, errors } from '../errors.ts';
import type { Reply } from './route.ts';

interface ProblemOptions {
  /** What happened this time and what to do; the table's explanation when there is nothing to add. */
  detail?: string;
  errors?: { path: string; code: string; message: string }[];
  /** Members of this code, such as `conflicts`. */
  extra?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** RFC 9457 problem details. The server adds `requestId` when it sends it. */
export function problem(code: ErrorCode, options: ProblemOptions = {}): Reply {
  const entry: ErrorEntry = errors[code];
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', ...options.headers };
  if (entry.status === 401) headers['www-authenticate'] = 'Bearer';
  if (entry.status === 503 || entry.status === 429) headers['retry-after'] ??= '1';
  return {
    status: entry.status,
    headers,
    body: {
      type: `/docs/errors#${code}`,
      title: entry.title,
      status: entry.status,
      code,
      detail: options.detail ?? entry.explain,
      requestId: '',
      retryable: entry.retryable,
      ...(options.errors && { errors: options.errors }),
      ...options.extra,
    },
  };
}
