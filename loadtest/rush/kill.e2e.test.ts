import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReport } from '../audit/audit.ts';
import { type Progress, rush } from './rush.ts';
import { startRushStack, targetOf } from './testing.ts';

/** Killed one after the other in the middle of the sale, when so many holds were accepted. */
const killAt = [
  { name: 'booking-1', accepted: 210 },
  { name: 'booking-relay', accepted: 280 },
  { name: 'booking-persist', accepted: 350 },
  { name: 'payment-worker', accepted: 420 },
  { name: 'redis', accepted: 490 },
];
const [firstKillMin, lastKillMax] = [200, 800];

interface Kill {
  name: string;
  atSeconds: number;
  acceptedBefore: number;
  confirmedBefore: number;
  pidBefore: number | undefined;
}

let running: Awaited<ReturnType<typeof startRushStack>>;
beforeAll(async () => {
  running = await startRushStack();
}, 900_000);
afterAll(() => ('stack' in running ? running.stack.stop() : undefined));

it('kill -9 of a booking process, the relay, a persist worker, a payment worker and Redis in the middle of a rush loses nothing', async ({
  skip,
}) => {
  if ('whyNot' in running) return skip(running.whyNot);
  const { stack, k6 } = running;
  const { processes } = stack;
  const kills: Kill[] = [];
  const onProgress = ({ tally, elapsedMs }: Progress): void => {
    const next = killAt[kills.length];
    if (next === undefined || tally.accepted < next.accepted) return;
    const process = processes[next.name];
    // One at a time: the process before is up again, as a lone fault would find it.
    if (process === undefined || Object.values(processes).some(({ state }) => state !== 'running')) return;
    kills.push({
      name: next.name,
      atSeconds: elapsedMs / 1_000,
      acceptedBefore: tally.accepted,
      confirmedBefore: tally.confirmed,
      pidBefore: process.pid,
    });
    process.kill('SIGKILL');
  };
  const result = await rush(targetOf(stack), {
    k6,
    concertId: stack.concerts.theatre ?? 0,
    fans: 2_100,
    holdTtlMs: 20_000,
    watchers: 50,
    ratePerSecond: 35,
    onProgress,
  });

  const { figures } = result;
  for (const kill of kills) {
    console.log(
      `killed ${kill.name} (process ${kill.pidBefore}, now ${processes[kill.name]?.pid}) after ${kill.atSeconds.toFixed(1)} s: ` +
        `accepted ${kill.acceptedBefore} before, ${figures.accepted.count - kill.acceptedBefore} after; ` +
        `confirmed ${kill.confirmedBefore} before, ${figures.confirmed - kill.confirmedBefore} after`,
    );
  }
  console.log(describeReport(result.audit));
  expect(kills.map(({ name }) => name)).toEqual(killAt.map(({ name }) => name));
  for (const kill of kills) {
    expect(kill.acceptedBefore).toBeGreaterThanOrEqual(firstKillMin);
    expect(kill.acceptedBefore).toBeLessThan(lastKillMax);
    expect(processes[kill.name]?.pid).not.toBe(kill.pidBefore);
    expect(processes[kill.name]?.restarts).toBeGreaterThanOrEqual(1);
  }
  expect(figures.accepted.count).toBeGreaterThan(kills.at(-1)?.acceptedBefore ?? 0);
  expect(result.failures).toEqual([]);
  expect(result.audit.passed).toBe(true);
  expect(result.soldSeats).toBeGreaterThanOrEqual(1_100);
}, 600_000);
