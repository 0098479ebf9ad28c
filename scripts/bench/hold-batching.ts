import { newUserId, randomHoldId } from '@frontrow/shared/ids.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { connectRedis, whenReady } from '@frontrow/shared/redis/connect.ts';
import type { Redis } from 'ioredis';
import { keysOf } from '../../services/booking-service/src/engine/keys.ts';
import { ConcertScripts } from '../../services/booking-service/src/engine/scripts.ts';
import { openConcert } from '../../services/booking-service/src/engine/testing.ts';
import { HoldStore } from '../../services/booking-service/src/hold/hold.store.ts';
import { startTestRedis } from '../data/servers.ts';
import type { Benchmark, Measure } from './benchmark.ts';

const seatCount = 40_000;
const underWay = 512;

/** Two-seat holds of one concert, 512 under way at once: 20,000 accepted in each run, with the log on disk before each answer. */
export async function holdBatching(): Promise<Benchmark> {
  const server = await startTestRedis();
  const redis = connectRedis(server.url, 'commands', createLogger('bench', 'fatal'));
  await whenReady(redis);
  const scripts = new ConcertScripts(redis);
  let concertId = 0;
  const run = async (batching: boolean): Promise<Measure> => {
    concertId += 1;
    await openConcert(scripts, concertId, { seats: '0'.repeat(seatCount) });
    const store = new HoldStore(scripts, { batching });
    const [cpuBefore, wallBefore] = [await redisCpuSeconds(redis), performance.now()];
    let next = 0;
    let accepted = 0;
    const fan = async () => {
      while (next < seatCount) {
        const seat = next;
        next += 2;
        const request = {
          concertId,
          holdId: randomHoldId(concertId),
          userId: newUserId(),
          keyed: false,
          totalMinor: 1,
          seats: [seat, seat + 1],
        };
        if ((await store.hold(request)).status === 'held') accepted += 1;
      }
    };
    await Promise.all(Array.from({ length: underWay }, fan));
    const wallSeconds = (performance.now() - wallBefore) / 1_000;
    const cpuSeconds = (await redisCpuSeconds(redis)) - cpuBefore;
    if (accepted !== seatCount / 2) throw new Error(`${accepted} holds were accepted instead of ${seatCount / 2}.`);
    await redis.del(...keysOf(concertId).all.slice(0, 5));
    return { work: accepted, wallSeconds, cpuSeconds };
  };
  return {
    name: 'holds: one batched call in flight per concert',
    unit: 'holds',
    cpuOf: 'Redis',
    tactic: { label: 'batched (at most 128 in a call)', run: () => run(true) },
    control: { label: 'a call for each hold', run: () => run(false) },
    stop: async () => {
      redis.disconnect();
      await server.stop();
    },
  };
}

async function redisCpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const read = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
  return read('used_cpu_user') + read('used_cpu_sys');
}
