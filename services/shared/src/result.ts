/** An operating error is a value: `fail` carries a named reason, never an exception. */
export type Result<T, F> = { ok: true; value: T } | { ok: false; failure: F };

export const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value });
export const fail = <F>(failure: F): { ok: false; failure: F } => ({ ok: false, failure });

/** A dependency (Redis, MySQL, another service) cannot answer now. Transport turns it into 503 `unavailable`. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}
