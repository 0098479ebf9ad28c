import { SeatMap } from '../../services/booking-service/src/seatmap/seatmap.ts';
import type { Benchmark, Measure } from './benchmark.ts';

const seatCount = 50_000;
const reads = 20_000;
const readsPerChange = 20;

/** Reads of a stadium's map while it changes once in twenty reads: encoded once per change, against encoded at each read. */
export async function mapMemory(): Promise<Benchmark> {
  const run = async (remember: boolean): Promise<Measure> => {
    const map = new SeatMap(1, 1, seatCount);
    map.reset({ seats: '0'.repeat(seatCount), epoch: 1, n: 0 });
    const [cpuBefore, wallBefore] = [process.cpuUsage(), performance.now()];
    let bytes = 0;
    for (let read = 0; read < reads; read += 1) {
      if (read % readsPerChange === 0) changeSeat(map, (read * 7) % seatCount);
      bytes += map.encoded(remember).json.length;
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    if (bytes < reads * seatCount) throw new Error('The map was not encoded.');
    return { work: reads, wallSeconds: (performance.now() - wallBefore) / 1_000, cpuSeconds: (user + system) / 1e6 };
  };
  return {
    name: 'seat map: encoded once per change',
    unit: 'reads',
    cpuOf: 'the booking process',
    tactic: { label: 'remembered', run: () => run(true) },
    control: { label: 'encoded at each read', run: () => run(false) },
    stop: async () => {},
  };
}

function changeSeat(map: SeatMap, seat: number): void {
  const booking = {
    id: '',
    userId: 'u',
    phase: 'held' as const,
    seats: [seat],
    totalMinor: 1,
    expiresAtMs: 1,
    heldUntilMs: 1,
    attempt: 0,
    keyed: false,
    createdAtMs: 1,
  };
  map.apply({
    epoch: map.epoch,
    n: map.n + 1,
    kind: 'hold',
    seatState: map.isFree(seat) ? '1' : '0',
    atMs: 1,
    booking,
  });
}
