import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { type Layout, readLayout } from '../lib/concert.ts';
import { liveAsFan } from '../lib/fan.ts';
import { record } from '../lib/record.ts';
import { settings } from '../lib/settings.ts';
import { watchFor } from '../lib/watcher.ts';

/**
 * The rush: how does the system behave when a sale opens and far more fans come than there are seats?
 * Fans arrive in an open loop: half of them in the first third of the time, the rest evenly after it, so that some come when
 * the first holds run out. An iteration is a fan with a token of its own.
 */
const { fans, ratePerSecond, watchers, bookingUrl, concertId } = settings;
const arrivalS = fans / ratePerSecond;
const peakPerS = Math.max(1, Math.round(1.5 * ratePerSecond));
const laterPerS = Math.max(1, Math.round(0.75 * ratePerSecond));
const peakS = Math.max(1, Math.round(arrivalS / 3));
/** A little longer than the fans need: an arrival that k6 had to drop is made up for at the end; the spare ones do nothing. */
const spareS = 2;
const laterS = Math.max(1, (fans - peakPerS * peakS) / laterPerS) + spareS;

const socketsPerVu = 20;
const watchMs = Math.ceil((peakS + laterS) * 1_000);
/** Above the time that a fan waits for a confirmation. */
const gracefulStop = '70s';

const tokens = new SharedArray('tokens', () => open(settings.tokensFile).trim().split('\n'));

export const options = {
  scenarios: {
    fans: {
      executor: 'ramping-arrival-rate',
      exec: 'fan',
      startRate: peakPerS,
      timeUnit: '1s',
      stages: [
        { target: peakPerS, duration: `${peakS}s` },
        { target: laterPerS, duration: '0s' },
        { target: laterPerS, duration: `${Math.ceil(laterS * 1_000)}ms` },
      ],
      // A fan stays for a few seconds: while the payment runs, or to look again.
      preAllocatedVUs: peakPerS * 8,
      maxVUs: peakPerS * 12,
      gracefulStop,
    },
    ...(watchers > 0 && {
      watchers: {
        executor: 'per-vu-iterations',
        exec: 'watch',
        vus: Math.ceil(watchers / socketsPerVu),
        iterations: 1,
        maxDuration: `${Math.ceil(peakS + laterS) + 10}s`,
        gracefulStop: '5s',
      },
    }),
  },
  systemTags: ['status', 'name', 'scenario', 'error_code'],
  summaryTrendStats: ['count', 'avg', 'p(50)', 'p(95)', 'p(99)', 'max'],
  noCookiesReset: true,
  // Dropped arrivals make the load less than it says.
  thresholds: { dropped_iterations: [`count<=${Math.floor(spareS * laterPerS)}`], http_req_failed: ['rate<0.01'] },
};

export function setup(): Layout {
  return readLayout(bookingUrl, concertId);
}

export function fan(layout: Layout): void {
  const number = exec.scenario.iterationInTest;
  const token = tokens[number];
  if (number >= fans || token === undefined) return;
  const outcome = liveAsFan(number, token, layout);
  record({ e: 'fan', at: Date.now(), outcome });
}

export function watch(): void {
  const mine = Math.min(socketsPerVu, watchers - exec.scenario.iterationInTest * socketsPerVu);
  for (let socket = 0; socket < mine; socket += 1) watchFor(watchMs);
}

export function handleSummary(data: unknown): Record<string, string> {
  return { [settings.summaryFile]: JSON.stringify(data) };
}
