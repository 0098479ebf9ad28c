import { type Change, type SeatState, seatStates, versionOf } from '@frontrow/shared/contracts/change.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SeatMap } from './seatmap.ts';

const concertId = 7;
const seatCount = 9;
const fans = [1, 2].map((n) => `01900000-0000-7000-8000-00000000000${n}`);
const [free, held, sold, blocked] = [seatStates.free, seatStates.held, seatStates.sold, seatStates.blocked];

function changeOf(
  epoch: number,
  n: number,
  seats: number[],
  seatState: SeatState | '-',
  userId = fans[0] ?? '',
): Change {
  const times = { expiresAtMs: 0, heldUntilMs: 0, createdAtMs: 0 };
  const booking = { id: 'x', userId, phase: 'held' as const, seats, totalMinor: 0, attempt: 0, keyed: false, ...times };
  return { epoch, n, kind: 'hold', booking, seatState, atMs: 0 };
}

function mapOf(seats: string, epoch = 1, n = 0): SeatMap {
  const map = new SeatMap(concertId, 3, seats.length);
  map.reset({ seats, epoch, n });
  map.takeDelta();
  return map;
}

const statesOf = (map: SeatMap): string => JSON.parse(map.encoded().json).states;

function readDelta(frame: Buffer) {
  const seats = Array.from({ length: frame.readUInt32LE(4) }, (_, index) => frame.readUInt32LE(24 + index * 4));
  return {
    concertId: frame.readUInt32LE(0),
    from: frame.readDoubleLE(8),
    to: frame.readDoubleLE(16),
    seats: seats.map((packed) => [packed >> 2, packed & 3] as const),
  };
}

/** What any client does: applies a frame that touches its version, and reads the map again when one is missing. */
class Client {
  version = 0;
  states: string[] = [];
  #map: SeatMap;

  constructor(map: SeatMap) {
    this.#map = map;
    this.read();
  }

  read(): void {
    ({ version: this.version } = JSON.parse(this.#map.encoded().json));
    this.states = [...statesOf(this.#map)];
  }

  hear(frame: Buffer): 'applied' | 'old' | 'gap' {
    const { from, to, seats } = readDelta(frame);
    if (to <= this.version) return 'old';
    if (from > this.version) return 'gap';
    for (const [seat, state] of seats) this.states[seat] = String(state);
    this.version = to;
    return 'applied';
  }
}

describe('a change', () => {
  test('that follows is applied, one that is in already is old, one that does not follow is a gap', () => {
    const map = mapOf('000', 2, 5);
    expect(map.apply(changeOf(2, 5, [0], held))).toBe('old');
    expect(map.apply(changeOf(1, 900, [0], held))).toBe('old');
    expect(map.apply(changeOf(2, 7, [0], held))).toBe('gap');
    expect(map.apply(changeOf(3, 0, [0], held))).toBe('gap');
    expect([statesOf(map), map.version]).toEqual(['000', versionOf(2, 5)]);
    expect(map.apply(changeOf(2, 6, [0, 2], held))).toBe('applied');
    expect([statesOf(map), map.version]).toEqual(['101', versionOf(2, 6)]);
  });

  test('without seats moves the version and nothing else', () => {
    const map = mapOf('01');
    map.apply(changeOf(1, 1, [1], '-'));
    expect([statesOf(map), map.version]).toEqual(['01', versionOf(1, 1)]);
    expect(readDelta(map.takeDelta() ?? Buffer.alloc(0))).toMatchObject({ to: versionOf(1, 1), seats: [] });
  });
});

test('a map that was never loaded is not ready, has nothing free, and takes no change', () => {
  const map = new SeatMap(concertId, 1, 3);
  expect([map.ready, map.freeCount, map.soldOut, map.seatCount]).toEqual([false, 0, false, 3]);
  expect(map.apply(changeOf(1, 1, [0], held))).toBe('gap');
});

test.each([
  ['220', false],
  ['221', false],
  ['223', true],
  ['333', true],
])('%s: sold out is %s', (seats, soldOut) => {
  expect(mapOf(seats).soldOut).toBe(soldOut);
});

test('seats that somebody else surely has are known by their owner since the snapshot', () => {
  const map = mapOf('1000');
  map.apply(changeOf(1, 1, [1], held, fans[0]));
  map.apply(changeOf(1, 2, [2], held, fans[1]));
  // Nobody knows who has seat 0: it may be whoever asks.
  expect(map.takenByOthers([0, 1, 2, 3], fans[0] ?? '')).toEqual([2]);
  expect(map.takenByOthers([0, 1, 2, 3], 'somebody')).toEqual([1, 2]);
  map.apply(changeOf(1, 3, [2], free, fans[1]));
  expect(map.takenByOthers([2], 'somebody')).toEqual([]);
  map.reset({ seats: '1110', epoch: 2, n: 0 });
  expect(map.takenByOthers([0, 1, 2, 3], 'somebody')).toEqual([]);
});

test('free seats are counted by section', () => {
  expect(mapOf('001120').freeBySection(Uint16Array.of(0, 0, 0, 1, 1, 2), 3)).toEqual([2, 0, 1]);
});

describe('what is sent', () => {
  test('is encoded once per change, and anew for every read when it is not to be remembered', () => {
    const map = mapOf('013');
    expect(JSON.parse(map.encoded().json)).toEqual({
      concertId,
      layoutVersion: 3,
      version: versionOf(1, 0),
      states: '013',
    });
    expect(map.encoded()).toBe(map.encoded());
    expect(map.encoded().binary()).toBe(map.encoded().binary());
    expect(map.encoded(false)).not.toBe(map.encoded(false));
    const { etag } = map.encoded();
    map.apply(changeOf(1, 1, [0], held));
    expect(map.encoded().etag).not.toBe(etag);
    expect(map.encoded().etag).toBe('"3-1-1"');
  });

  test('as binary has two bits a seat behind a header of 20 bytes', () => {
    const frame = mapOf('0123' + '321')
      .encoded()
      .binary();
    expect(frame).toHaveLength(22);
    expect([frame.readUInt32LE(0), frame.readUInt32LE(4), frame.readUInt32LE(16)]).toEqual([concertId, 3, 7]);
    expect(frame.readDoubleLE(8)).toBe(versionOf(1, 0));
    expect([...frame.subarray(20)]).toEqual([0b11_10_01_00, 0b01_10_11]);
  });

  test('as a delta names each changed seat once, with its last state', () => {
    const map = mapOf('000');
    expect(map.takeDelta()).toBeNull();
    map.apply(changeOf(1, 1, [1, 2], held));
    map.apply(changeOf(1, 2, [2], free));
    map.apply(changeOf(1, 3, [1], sold));
    const delta = readDelta(map.takeDelta() ?? Buffer.alloc(0));
    expect(delta).toMatchObject({ concertId, from: versionOf(1, 0), to: versionOf(1, 3) });
    expect(new Map(delta.seats)).toEqual(
      new Map([
        [1, 2],
        [2, 0],
      ]),
    );
    expect(map.takeDelta()).toBeNull();
  });

  test('after a reset is an empty frame, so that a watcher sees the gap though nothing changes any more', () => {
    const map = mapOf('000');
    const client = new Client(map);
    map.reset({ seats: '020', epoch: 2, n: 0 });
    const frame = map.takeDelta() ?? Buffer.alloc(0);
    expect(client.hear(frame)).toBe('gap');
    client.read();
    expect(client.hear(frame)).toBe('old');
    expect(map.takeDelta()).toBeNull();
  });
});

type Step =
  | { do: 'change'; seats: number[]; state: SeatState | '-'; fan: number }
  | { do: 'repeat' | 'skip' | 'frame' | 'lost frame' | 'read' }
  | { do: 'reset'; seats: string };

const seatList = fc.uniqueArray(fc.nat(seatCount - 1), { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      seats: seatList,
      state: fc.constantFrom(free, held, sold, '-' as const),
      fan: fc.nat(1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('repeat' as const, 'skip' as const, 'frame' as const, 'lost frame' as const, 'read' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reset' as const),
      seats: fc
        .array(fc.constantFrom(free, held, sold, blocked), { minLength: seatCount, maxLength: seatCount })
        .map((list) => list.join('')),
    }),
  },
);

test('random changes leave the map, its counts and a client that may miss frames as a plain list says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = mapOf('0'.repeat(seatCount));
      const client = new Client(map);
      let plain = [...'0'.repeat(seatCount)];
      const hear = (frame: Buffer | null) => {
        if (frame !== null && client.hear(frame) === 'gap') client.read();
      };
      for (const one of steps) {
        if (one.do === 'change') {
          expect(map.apply(changeOf(map.epoch, map.n + 1, one.seats, one.state, fans[one.fan]))).toBe('applied');
          if (one.state !== '-') for (const seat of one.seats) plain[seat] = one.state;
        } else if (one.do === 'repeat') expect(map.apply(changeOf(map.epoch, map.n, [0], sold))).toBe('old');
        else if (one.do === 'skip') expect(map.apply(changeOf(map.epoch, map.n + 2, [0], sold))).toBe('gap');
        else if (one.do === 'frame') hear(map.takeDelta());
        else if (one.do === 'lost frame') map.takeDelta();
        else if (one.do === 'read') client.read();
        else if (one.do === 'reset') {
          map.reset({ seats: one.seats, epoch: map.epoch + 1, n: 0 });
          plain = [...one.seats];
        }
        expect(statesOf(map)).toBe(plain.join(''));
        expect(map.freeCount).toBe(plain.filter((state) => state === free).length);
        expect(map.soldOut).toBe(plain.every((state) => state === sold || state === blocked));
        expect(plain.map((_, seat) => map.isFree(seat))).toEqual(plain.map((state) => state === free));
        const binary = map.encoded().binary();
        expect(plain.map((_, seat) => ((binary[20 + (seat >> 2)] ?? 0) >> ((seat & 3) * 2)) & 3)).toEqual(
          plain.map(Number),
        );
      }
      // One change more, and its frame: whatever the client missed, it now knows or sees the gap.
      map.apply(changeOf(map.epoch, map.n + 1, [0], sold));
      plain[0] = sold;
      hear(map.takeDelta());
      expect(client.states).toEqual(plain);
    }),
    { numRuns: 500 },
  );
});
