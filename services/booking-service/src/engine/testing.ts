import type { Redis } from 'ioredis';
import { ConcertScripts, type Guard } from './scripts.ts';

/** Test helpers of the engine: a clock that a test moves, and an opened concert. */
const clockKey = 'test:clock';
const testClock = `local function now_ms() return tonumber(redis.call('GET', '${clockKey}')) end`;

export const scriptsWithTestClock = (redis: Redis, withoutGuards: readonly Guard[] = []): ConcertScripts =>
  new ConcertScripts(redis, { withoutGuards, replace: { 'clock.lua': testClock } });

export const setTestClock = (redis: Redis, nowMs: number): Promise<unknown> => redis.set(clockKey, nowMs);

export interface OpenOptions {
  seats: string;
  epoch?: number;
  opensMs?: number;
  closesMs?: number;
  override?: string;
  ttlMs?: number;
  seatsPerUserMax?: number;
}

/** Opens a concert with these seats, as a restore does. */
export async function openConcert(scripts: ConcertScripts, concertId: number, options: OpenOptions): Promise<void> {
  const epoch = options.epoch ?? 1;
  const { opensMs = 0, closesMs = 9e15, override = 'none', ttlMs = 60_000, seatsPerUserMax = 8 } = options;
  const started = await scripts.run('restore', concertId, ['start', epoch, options.seats]);
  const opened = await scripts.run('restore', concertId, [
    'open',
    epoch,
    1,
    opensMs,
    closesMs,
    override,
    ttlMs,
    seatsPerUserMax,
  ]);
  if (started[0] !== 'done' || opened[0] !== 'done') throw new Error('The concert did not open.');
}
