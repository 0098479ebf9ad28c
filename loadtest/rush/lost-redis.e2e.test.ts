import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Stack } from '../../scripts/stack/stack.ts';
import { describeReport } from '../audit/audit.ts';
import { type Progress, rush } from './rush.ts';
import { logLines, startRushStack, targetOf } from './testing.ts';

let running: Awaited<ReturnType<typeof startRushStack>>;
beforeAll(async () => {
  running = await startRushStack();
}, 900_000);
afterAll(() => ('stack' in running ? running.stack.stop() : undefined));

/** Ends Redis, cuts this share of what it appended last, and starts it again: a disk that lost its last writes. */
async function cutTail({ processes, settings }: Stack, share: number): Promise<number> {
  const redis = processes.redis;
  if (redis === undefined) throw new Error('The stack has no Redis of its own.');
  await redis.stop();
  const folder = join(settings.dataDir, 'redis');
  const files = readdirSync(folder, { recursive: true }).map(String);
  const file = join(
    folder,
    files
      .filter((name) => name.endsWith('.incr.aof'))
      .sort()
      .at(-1) ?? '',
  );
  const cut = Math.floor(statSync(file).size * share);
  truncateSync(file, statSync(file).size - cut);
  await redis.start();
  return cut;
}

async function empty({ databases }: Stack): Promise<void> {
  const redis = new Redis(databases.redis.seats);
  await redis.flushall();
  redis.disconnect();
}

it("Redis' last writes cut off, then Redis emptied, in the middle of a sale: the audit passes and what was lost is said", async ({
  skip,
}) => {
  if ('whyNot' in running) return skip(running.whyNot);
  const { stack, k6 } = running;
  const losses: string[] = [];
  let busy = false;
  const lose = async ({ tally }: Progress): Promise<void> => {
    if (busy || tally.accepted < (losses.length === 0 ? 60 : 110) || losses.length === 2) return;
    busy = true;
    const before = `accepted ${tally.accepted}, confirmed ${tally.confirmed}`;
    if (losses.length === 0)
      losses.push(`cut ${await cutTail(stack, 0.15)} bytes off the log of Redis after: ${before}`);
    else {
      await empty(stack);
      losses.push(`emptied Redis after: ${before}`);
    }
    busy = false;
  };
  const failed: unknown[] = [];
  const result = await rush(targetOf(stack), {
    k6,
    concertId: stack.concerts.club ?? 0,
    fans: 600,
    holdTtlMs: 10_000,
    watchers: 20,
    ratePerSecond: 20,
    onProgress: (progress) => void lose(progress).catch((error: unknown) => failed.push(error)),
  });
  for (const loss of losses) console.log(loss);
  console.log(describeReport(result.audit));
  expect(failed).toEqual([]);
  expect(losses).toHaveLength(2);
  expect(result.figures.confirmed).toBeGreaterThan(50);
  expect(result.audit.passed).toBe(true);
  expect(recoveriesOf(stack).map(({ concertId }) => concertId)).toContain(stack.concerts.club);
}, 600_000);

/** What the recovery said in its log. */
function recoveriesOf({ settings }: Stack): { concertId: number; lostAtLeast: number }[] {
  const said = logLines(join(settings.dataDir, 'logs/booking-relay.log')).filter(
    ({ msg }) => msg === 'a concert was recovered',
  );
  for (const { concertId, epoch, lostAtLeast, lastDurable } of said) {
    if (Number(lostAtLeast) > 0)
      console.log(`concert ${concertId}, epoch ${epoch}: at least ${lostAtLeast} changes lost after ${lastDurable}`);
  }
  return said.map(({ concertId, lostAtLeast }) => ({ concertId: Number(concertId), lostAtLeast: Number(lostAtLeast) }));
}
