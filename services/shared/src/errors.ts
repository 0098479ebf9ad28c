/**
 * The one table of everything that can go wrong and be said: code -> status -> title -> what to do.
 * A code enters with the feature that can produce it; a test over HTTP produces each (errors.e2e.test.ts).
 */
export interface ErrorEntry {
  status: number;
  title: string;
  /** What it means and what to do, for /docs/errors. */
  explain: string;
  /** True when the same request may succeed later without a change. */
  retryable: boolean;
}

export const errors = {
  malformed_json: {
    status: 400,
    title: 'The body is not valid JSON',
    explain: 'Send one JSON value in UTF-8.',
    retryable: false,
  },
  invalid_request: {
    status: 400,
    title: 'The request is not valid',
    explain: '`errors` names each field by its path. Correct them and send it again. Unknown keys are refused.',
    retryable: false,
  },
  invalid_id: {
    status: 400,
    title: 'That is not an id',
    explain: 'Concert ids are positive 32-bit integers; all other ids are UUIDs.',
    retryable: false,
  },
  unauthenticated: {
    status: 401,
    title: 'Log in first',
    explain: 'Send a valid access token as `Authorization: Bearer …`.',
    retryable: false,
  },
  token_expired: {
    status: 401,
    title: 'The access token has expired',
    explain: 'Log in again, or refresh the token, and repeat the request.',
    retryable: false,
  },
  invalid_credentials: {
    status: 401,
    title: 'Email or password is wrong',
    explain: 'The answer is the same whether the account exists or not.',
    retryable: false,
  },
  forbidden: {
    status: 403,
    title: 'You may not do this',
    explain: 'Your role or identity does not allow it.',
    retryable: false,
  },
  not_found: {
    status: 404,
    title: 'There is nothing here',
    explain: 'The address or id is unknown, or it belongs to somebody else.',
    retryable: false,
  },
  method_not_allowed: {
    status: 405,
    title: 'This address does not take that method',
    explain: 'The `Allow` header names the methods that it takes.',
    retryable: false,
  },
  seats_taken: {
    status: 409,
    title: 'Somebody has these seats',
    explain: '`conflicts` names the seats that are taken. None of the seats was held: choose others.',
    retryable: false,
  },
  sale_not_open: {
    status: 409,
    title: 'The sale has not opened',
    explain: '`opensAt` says when it opens.',
    retryable: true,
  },
  sale_closed: {
    status: 409,
    title: 'The sale is closed',
    explain: 'No more holds are taken for this concert.',
    retryable: false,
  },
  sold_out: { status: 409, title: 'Sold out', explain: 'Every seat of this concert is sold.', retryable: false },
  hold_expired: {
    status: 409,
    title: 'The hold has ended',
    explain: 'Its time ran out or it was let go. Hold the seats again if they are still free.',
    retryable: false,
  },
  email_taken: {
    status: 409,
    title: 'This email has an account',
    explain: 'Log in, or use another email.',
    retryable: false,
  },
  username_taken: {
    status: 409,
    title: 'This username is taken',
    explain: 'Choose another username.',
    retryable: false,
  },
  idempotency_key_reused: {
    status: 409,
    title: 'This Idempotency-Key was used for another request',
    explain: 'Use a new key for a new request; repeat a key only with the same body.',
    retryable: false,
  },
  already_paid: {
    status: 409,
    title: 'This booking is paid',
    explain: 'Read the booking; there is nothing more to pay.',
    retryable: false,
  },
  payment_pending: {
    status: 409,
    title: 'A payment for this booking is running',
    explain: 'Wait for it to end; read it at `GET /api/payments/:id`.',
    retryable: true,
  },
  payment_attempts_exhausted: {
    status: 409,
    title: 'Too many payment attempts',
    explain: 'This booking takes no further attempts. Let it go and hold the seats again.',
    retryable: false,
  },
  not_cancellable: {
    status: 409,
    title: 'This cannot be let go now',
    explain: 'It is paid, or a payment for it is running.',
    retryable: false,
  },
  log_trimmed: {
    status: 410,
    title: 'These events are no longer kept',
    explain: 'Start again from the seat map and its version.',
    retryable: false,
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    explain: 'Send less: at most 64 KiB.',
    retryable: false,
  },
  unsupported_media_type: {
    status: 415,
    title: 'Send JSON',
    explain: 'Set `Content-Type: application/json`.',
    retryable: false,
  },
  seat_limit_reached: {
    status: 422,
    title: 'That is more seats than one fan may have',
    explain: 'The concert says how many: `seatsPerUserMax`.',
    retryable: false,
  },
  unknown_seat: {
    status: 422,
    title: 'There is no such seat',
    explain: '`errors` names the seats that the layout does not have.',
    retryable: false,
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    explain: 'Wait as long as `Retry-After` says.',
    retryable: true,
  },
  internal: {
    status: 500,
    title: 'Something went wrong here',
    explain: 'It is our fault; the log has it under `requestId`.',
    retryable: true,
  },
  overloaded: {
    status: 503,
    title: 'Too busy right now',
    explain: 'Nothing was done. Wait as long as `Retry-After` says and try again.',
    retryable: true,
  },
  unavailable: {
    status: 503,
    title: 'A part of the system cannot be reached',
    explain: 'Wait as long as `Retry-After` says and repeat the same request with the same key.',
    retryable: true,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;
export const errorCodes = Object.keys(errors) as ErrorCode[];
