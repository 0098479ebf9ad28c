import { readFileSync } from 'node:fs';
import { lastInLog } from '../../services/booking-service/src/engine/log.ts';
import { Fans, startStoreWorld } from '../../services/booking-service/src/testing/store-world.ts';
import type { Benchmark, Measure } from './benchmark.ts';

const steps = 1_500;

/** The log of one concert into MariaDB: ranges of up to 2,000 changes in a transaction, against a transaction for each change. */
export async function persistRanges(): Promise<Benchmark> {
  const world = await startStoreWorld();
  let concertId = 0;
  const run = async (changesPerJob: number): Promise<Measure> => {
    concertId += 1;
    await world.openConcert(concertId);
    await new Fans(world, concertId, 1).play(steps);
    const last = await lastInLog(world.redis, concertId);
    if (last === null) throw new Error('The log is empty.');
    const persister = world.persister();
    const [cpuBefore, wallBefore] = [cpuSecondsOf(world.mysql.pid()), performance.now()];
    for (let n = 0; n < last.n; ) {
      n = Math.min(last.n, n + changesPerJob);
      const outcome = await persister.persist(concertId, { epoch: last.epoch, n });
      if (outcome.status !== 'written') throw new Error(`The log was not stored: ${outcome.status}.`);
    }
    return {
      work: last.n,
      wallSeconds: (performance.now() - wallBefore) / 1_000,
      cpuSeconds: cpuSecondsOf(world.mysql.pid()) - cpuBefore,
    };
  };
  return {
    name: 'persistence: a job names a range of the log',
    unit: 'changes',
    cpuOf: 'MariaDB',
    tactic: { label: 'ranges of up to 2,000 changes', run: () => run(2_000) },
    control: { label: 'a transaction for each change', run: () => run(1) },
    stop: () => world.stop(),
  };
}

const ticksPerSecond = 100;

/** User and system time of a process (proc(5): fields 14 and 15 of stat). */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
