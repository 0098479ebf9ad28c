/** What the runner (rush/k6-run.ts) hands to a scenario, by environment variables. */
function text(name: string): string {
  const value = __ENV[name];
  if (value === undefined || value === '') throw new Error(`${name} is not set: start this scenario by npm run rush`);
  return value;
}

function number(name: string): number {
  const value = Number(text(name));
  if (!Number.isFinite(value)) throw new Error(`${name} is not a number`);
  return value;
}

export const settings = {
  bookingUrl: text('BOOKING_URL'),
  paymentUrl: text('PAYMENT_URL'),
  concertId: number('CONCERT_ID'),
  /** One access token a line; fan N has line N. */
  tokensFile: text('TOKENS_FILE'),
  summaryFile: text('SUMMARY_FILE'),
  fans: number('FANS'),
  /** Fans who arrive in a second, over the whole rush. */
  ratePerSecond: number('RATE'),
  watchers: number('WATCHERS'),
  holdTtlMs: number('HOLD_TTL_MS'),
};
