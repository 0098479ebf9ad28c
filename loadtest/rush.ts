import { limits } from '@frontrow/shared/limits.ts';
import { commandLine, durationMs, isMain, runCommand, UserError, wholeNumber } from '../scripts/cli.ts';
import { describeReport } from './audit/audit.ts';
import { findK6 } from './k6-binary.ts';
import { Display } from './rush/display.ts';
import { describeFigures } from './rush/figures.ts';
import { appendResult } from './rush/history.ts';
import { defaultRate, type Progress, rush } from './rush/rush.ts';
import { concertIdOf, runningTarget } from './target.ts';

const usage = `Usage: npm run rush [-- options]

Resets a concert of the running stack (npm start), sends virtual fans after its seats over the real API while others watch
over websockets, waits until everything is decided and stored, and audits. Exits 1 unless eleven of twelve seats (1,100 of
the theatre's 1,200) are sold in MySQL and the audit passes. loadtest/README.md says what each figure means.

  --fans N          virtual fans (default 5000)
  --concert NAME    the seed's key or a concert's number (default theatre); everything that was sold there is deleted
  --hold-ttl TIME   how long a hold lasts (default 30s)
  --rate N          fans who arrive in a second, over the whole rush; half of them come in the first third of the time
                    (default: so that the last come when the first holds run out, at most 80)
  --watchers N      websockets that watch (default 200)
  --through-origin  every request through the web origin instead of to the services' own ports
  --help            this text

k6 comes from K6_BIN, the PATH (1.6.0 or newer), or is built by Go into .data/bin.`;

async function main(): Promise<void> {
  const given = commandLine(usage, {
    fans: { type: 'string', default: '5000' },
    concert: { type: 'string', default: 'theatre' },
    'hold-ttl': { type: 'string', default: '30s' },
    rate: { type: 'string' },
    watchers: { type: 'string', default: '200' },
    'through-origin': { type: 'boolean', default: false },
  });
  const fans = wholeNumber('fans', given.fans, 1, 1_000_000);
  const watchers = wholeNumber('watchers', given.watchers, 0, 10_000);
  const holdTtlMs = holdTtl(given['hold-ttl']);
  const ratePerSecond =
    given.rate === undefined ? defaultRate(fans, holdTtlMs) : wholeNumber('rate', given.rate, 1, 100_000);

  const display = new Display();
  const target = await runningTarget();
  const concertId = concertIdOf(target.concerts, given.concert);
  const k6 = await findK6((line) => display.say(line));
  display.say(`${fans} fans, ${ratePerSecond}/s, ${watchers} watchers, by k6 ${k6.version} (${k6.path})`);
  const result = await rush(target, {
    k6: k6.path,
    concertId,
    fans,
    holdTtlMs,
    ratePerSecond,
    watchers,
    throughOrigin: given['through-origin'],
    say: (line) => display.say(line),
    onProgress: (progress) => display.show(progressLine(progress, fans)),
  });

  const { passed, failures, soldSeats, soldWanted, seats, figures, audit, clientLog } = result;
  display.say(`\nRush of ${fans} fans after ${seats} seats of concert ${concertId} (${given.concert})`);
  console.log(describeFigures(figures));
  if (result.thresholdsCrossed)
    console.log('  k6: a threshold of the scenario was crossed (dropped arrivals or unanswered requests)');
  console.log(`\n${describeReport(audit)}\n`);
  console.log(`${soldSeats} of ${seats} seats are sold in MySQL; at least ${soldWanted} are wanted.`);
  const settings = { concertId, fans, ratePerSecond, watchers, holdTtlMs, k6: k6.version };
  const resultsFile = appendResult('rush', { settings, passed, soldSeats, seats, auditPassed: audit.passed, figures });
  console.log(`Client log: ${clientLog}\nFigures:    ${resultsFile}`);
  console.log(passed ? 'The rush passes.' : `The rush FAILS: ${failures.join('; ')}.`);
  if (!passed) process.exitCode = 1;
}

function holdTtl(text: string): number {
  const ms = durationMs('hold-ttl', text);
  if (ms >= limits.holdTtlMsMin && ms <= limits.holdTtlMsMax) return ms;
  throw new UserError(
    `--hold-ttl takes ${limits.holdTtlMsMin / 1_000}s to ${limits.holdTtlMsMax / 60_000}m, not "${text}".`,
  );
}

function progressLine({ elapsedMs, tally, durable, waitingFor }: Progress, fans: number): string {
  const seconds = `${Math.floor(elapsedMs / 1_000)} s`.padStart(5);
  const refused = [...tally.refused.values()].reduce((sum, count) => sum + count, 0);
  const mysql = durable
    ? `sold ${durable.soldSeats}  held ${durable.heldSeats}  stored ${durable.bookings}  behind ${durable.behind}`
    : '';
  if (waitingFor.length > 0) return `${seconds}  ${mysql}  waiting: ${waitingFor.join('; ')}`;
  return `${seconds}  fans ${tally.fans}/${fans}  accepted ${tally.accepted}  refused ${refused}  confirmed ${tally.confirmed}  ${mysql}`;
}

if (isMain(import.meta.url)) await runCommand(main);
