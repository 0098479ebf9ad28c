import { versionOf } from '@frontrow/shared/contracts/change.ts';
import { seatmapReply } from '@frontrow/shared/contracts/concert.ts';
import { holdReply } from '@frontrow/shared/contracts/hold.ts';
import { recoverReply, settleReply } from '@frontrow/shared/contracts/internal.ts';
import { io, type Socket } from 'socket.io-client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  bodyOf,
  type Fan,
  ownConnection,
  startWorld,
  type TestConcert,
  until,
  type World,
} from '../../../../scripts/e2e/world.testing.ts';

let world: World;
const open = new Set<Socket>();
beforeAll(async () => {
  world = await startWorld({ without: ['user', 'payment', 'payment-worker', 'sandbox', 'origin'] });
});
afterAll(() => world?.stop());
afterEach(() => {
  for (const socket of open) socket.disconnect();
  open.clear();
});

const newSocket = (auth: Record<string, unknown> = {}): Socket => {
  const socket = io(world.stack.addresses.booking, {
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
    autoConnect: false,
    auth,
  });
  open.add(socket);
  return socket;
};

/** Resolves when the server lets the socket in, rejects with its reason. */
const connected = (socket: Socket): Promise<Socket> =>
  new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('connect_error', reject);
    socket.connect();
  });

async function socketsOf(process: string): Promise<number> {
  const text = await (await fetch(`${world.stack.addresses.ops[process]}/metrics`)).text();
  return Number(/^sockets_connected\S* (\d+)$/m.exec(text)?.[1]);
}

/** A socket on this very process: the kernel gives each new connection to one of them, so it may take some tries. */
async function socketOn(process: string, auth: Record<string, unknown> = {}): Promise<Socket> {
  for (;;) {
    const before = await socketsOf(process);
    const socket = await connected(newSocket(auth));
    if ((await socketsOf(process)) > before) return socket;
  }
}

const next = <T>(socket: Socket, event: string): Promise<T> => new Promise((resolve) => socket.once(event, resolve));

function readDelta(frame: Buffer) {
  const seats = Array.from({ length: frame.readUInt32LE(4) }, (_, index) => frame.readUInt32LE(24 + index * 4));
  return {
    concertId: frame.readUInt32LE(0),
    from: frame.readDoubleLE(8),
    to: frame.readDoubleLE(16),
    seats: seats.map((packed) => [packed >> 2, packed & 3] as const),
  };
}

/** A client as the documents describe one. */
class Watcher {
  readonly deltas: ReturnType<typeof readDelta>[] = [];
  version = -1;
  states: string[] = [];
  gaps = 0;
  /** True lets frames pass by, as on a connection that loses them. */
  deaf = false;
  readonly missed: ReturnType<typeof readDelta>[] = [];
  readonly #concert: TestConcert;
  #reading: Promise<void> | null = null;

  constructor(concert: TestConcert) {
    this.#concert = concert;
  }

  async watch(socket: Socket): Promise<this> {
    socket.on('delta', (frame: Buffer) => this.#hear(readDelta(frame)));
    const snapshot = next<{ version: number }>(socket, 'snapshot');
    socket.emit('watch', { concertId: this.#concert.id });
    const { version } = await snapshot;
    if (version > this.version) await this.#read();
    return this;
  }

  #hear(delta: ReturnType<typeof readDelta>): void {
    if (delta.concertId !== this.#concert.id) return;
    if (this.deaf) {
      this.missed.push(delta);
      return;
    }
    this.deltas.push(delta);
    // As long as the map itself is on its way there is nothing to compare with: `#read` looks at what came meanwhile.
    if (this.version === -1 || delta.to <= this.version) return;
    if (delta.from > this.version) {
      this.gaps += 1;
      void this.#read();
      return;
    }
    for (const [seat, state] of delta.seats) this.states[seat] = String(state);
    this.version = delta.to;
  }

  /** What arrives while the map is on its way may be newer than it: asks again until nothing is missing. */
  #read(): Promise<void> {
    this.#reading ??= (async () => {
      const wanted = Math.max(this.version, ...this.deltas.map(({ to }) => to));
      const path = `/api/concerts/${this.#concert.id}/seatmap`;
      const map = seatmapReply.parse((await world.api.booking.call('GET', path, { headers: ownConnection })).body);
      [this.version, this.states] = [map.version, [...map.states]];
      this.#reading = null;
      if (Math.max(wanted, ...this.deltas.map(({ to }) => to)) > this.version) await this.#read();
    })();
    return this.#reading;
  }

  get map(): string {
    return this.states.join('');
  }
}

const granted = async (concert: TestConcert, fan: Fan, ...seats: number[]) =>
  bodyOf(
    world.hold(
      concert,
      fan,
      seats.map((seat) => concert.seats[seat] ?? ''),
      { ownConnection: true },
    ),
    201,
    holdReply,
  );
const letGo = async (fan: Fan, holdId: string) =>
  expect((await world.api.booking.call('DELETE', `/api/holds/${holdId}`, { token: fan.token })).status).toBe(204);

describe('two clients on two processes', () => {
  /** A watcher on each process. One after the other: `socketOn` tells sockets apart by counting them. */
  const bothWatch = async (concert: TestConcert) => {
    const watchers: Watcher[] = [];
    for (const name of world.bookingProcesses) watchers.push(await new Watcher(concert).watch(await socketOn(name)));
    return watchers;
  };

  test('both see what one fan holds and lets go, from version to version', async () => {
    const concert = await world.createConcert();
    const watchers = await bothWatch(concert);
    expect(watchers.map(({ map }) => map)).toEqual(['0'.repeat(20), '0'.repeat(20)]);
    const fan = world.newFan();
    const hold = await granted(concert, fan, 3, 4);
    await until(() =>
      expect(watchers.map(({ map }) => map)).toEqual([`00011${'0'.repeat(15)}`, `00011${'0'.repeat(15)}`]),
    );
    for (const { deltas } of watchers) {
      expect(deltas.at(-1)).toMatchObject({ concertId: concert.id, to: versionOf(1, 1) });
      expect(new Map(deltas.at(-1)?.seats)).toEqual(
        new Map([
          [3, 1],
          [4, 1],
        ]),
      );
    }
    await letGo(fan, hold.id);
    await until(() => expect(watchers.map(({ map }) => map)).toEqual(['0'.repeat(20), '0'.repeat(20)]));
    for (const { deltas, gaps } of watchers) {
      expect(deltas.at(-1)).toMatchObject({ from: versionOf(1, 1), to: versionOf(1, 2) });
      expect(gaps).toBe(0);
    }
  });

  test('both end with the same map after many changes at once, without a gap', async () => {
    const concert = await world.createConcert({ seatCount: 60 });
    const watchers = await bothWatch(concert);
    await Promise.all(
      Array.from({ length: 60 }, async (_, seat) => {
        const fan = world.newFan();
        const hold = await granted(concert, fan, seat);
        if (seat % 3 === 0) await letGo(fan, hold.id);
      }),
    );
    const expected = Array.from({ length: 60 }, (_, seat) => (seat % 3 === 0 ? '0' : '1')).join('');
    await until(() => expect(watchers.map(({ map }) => map)).toEqual([expected, expected]));
    for (const { deltas, gaps } of watchers) {
      expect(gaps).toBe(0);
      // Each frame starts where the one before ended.
      expect(deltas.slice(1).map(({ from }) => from)).toEqual(deltas.slice(0, -1).map(({ to }) => to));
      expect(deltas.length).toBeLessThan(80);
    }
  });

  test('one that missed frames sees the gap and catches up', async () => {
    const concert = await world.createConcert();
    const [deaf, hearing] = await bothWatch(concert);
    if (deaf === undefined || hearing === undefined) throw new Error('two processes were expected');
    deaf.deaf = true;
    for (const seat of [0, 1, 19]) await granted(concert, world.newFan(), seat);
    await until(() => expect(hearing.map).toBe(`11${'0'.repeat(17)}1`));
    await until(() => expect(deaf.missed.at(-1)?.to).toBe(versionOf(1, 3)));
    expect(deaf.map).toBe('0'.repeat(20));
    deaf.deaf = false;
    await granted(concert, world.newFan(), 10);
    await until(() => expect(deaf.map).toBe(`11${'0'.repeat(8)}1${'0'.repeat(8)}1`));
    expect([deaf.gaps, hearing.gaps]).toEqual([1, 0]);
  });

  test('one that was away hears at once that it is behind, and catches up', async () => {
    const concert = await world.createConcert();
    const socket = await connected(newSocket());
    const watcher = await new Watcher(concert).watch(socket);
    socket.disconnect();
    await granted(concert, world.newFan(), 7);
    await world.askEvery(`/api/concerts/${concert.id}/seatmap`, ({ body }) =>
      expect(body).toMatchObject({ version: versionOf(1, 1) }),
    );
    expect(watcher.map).toBe('0'.repeat(20));
    await watcher.watch(await connected(newSocket()));
    expect(watcher.map).toBe(`${'0'.repeat(7)}1${'0'.repeat(12)}`);
  });

  test('both hear of a recovery, after which nothing changes any more', async () => {
    const concert = await world.createConcert();
    const watchers = await bothWatch(concert);
    await granted(concert, world.newFan(), 2);
    const path = `/internal/concerts/${concert.id}/recover`;
    const report = await bodyOf(
      world.api.booking.call('POST', path, { token: world.serviceToken() }),
      200,
      recoverReply,
    );
    expect(report).toMatchObject({ epoch: 2, restoredHolds: 1 });
    await until(() => expect(watchers.map(({ version }) => version)).toEqual([versionOf(2, 0), versionOf(2, 0)]));
    expect(watchers.map(({ map }) => map)).toEqual([`001${'0'.repeat(17)}`, `001${'0'.repeat(17)}`]);
  });
});

describe('a booking', () => {
  test('is told to its own fan alone, on whichever process they are; confirmed means stored', async () => {
    const concert = await world.createConcert();
    const [fan, rival] = [world.newFan(), world.newFan()];
    const heard: { who: string; event: unknown }[] = [];
    const listen = (who: string, socket: Socket) =>
      socket.on('booking', (event: unknown) => heard.push({ who, event }));
    for (const name of world.bookingProcesses) {
      listen(`fan on ${name}`, await socketOn(name, { token: fan.token }));
      listen(`rival on ${name}`, await socketOn(name, { token: rival.token }));
      const nobody = await socketOn(name);
      listen(`nobody on ${name}`, nobody);
      await new Watcher(concert).watch(nobody);
    }
    const both = (event: object) =>
      world.bookingProcesses.map((name) => ({ who: `fan on ${name}`, event: expect.objectContaining(event) }));
    const hold = await granted(concert, fan, 0, 1);
    const held = { id: hold.id, status: 'pending', phase: 'held', expiresAt: hold.expiresAt };
    await until(() => expect(heard).toHaveLength(2));
    expect(heard.splice(0)).toEqual(expect.arrayContaining(both(held)));

    const body = { userId: fan.userId, seats: [0, 1], amountMinor: hold.totalMinor, currency: hold.currency };
    const settle = { token: world.serviceToken(), body };
    await bodyOf(world.api.booking.call('POST', `/internal/holds/${hold.id}/settle`, settle), 200, settleReply);
    await until(() => expect(heard.length).toBeGreaterThan(0));
    const { body: booking } = await world.api.booking.call('GET', `/api/bookings/${hold.id}`, { token: fan.token });
    expect(booking).toMatchObject({ status: 'confirmed' });
    await until(() => expect(heard).toHaveLength(2));
    expect(heard.splice(0)).toEqual(
      expect.arrayContaining(both({ id: hold.id, status: 'confirmed', phase: 'sold', expiresAt: null })),
    );

    await granted(concert, rival, 5);
    await until(() => expect(heard).toHaveLength(2));
    expect(heard.map(({ who }) => who).sort()).toEqual(world.bookingProcesses.map((name) => `rival on ${name}`));
  });
});

describe('who may connect', () => {
  const forged = () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none', typ: 'at+jwt' })}.${part({ sub: world.newFan().userId, role: 'admin' })}.`;
  };
  test.each<[string, () => unknown, string]>([
    ['no token at all', () => 'nonsense', 'unauthenticated'],
    ['a forged token', forged, 'unauthenticated'],
    ['a number', () => 17, 'unauthenticated'],
    ['an object', () => ({ sub: 'x' }), 'unauthenticated'],
    ['an expired token', () => world.tokenOf(world.newFan().userId, 'fan', -10), 'token_expired'],
  ])('a client with %s is told why not', async (_, token, reason) => {
    const socket = newSocket({ token: token() });
    await expect(connected(socket)).rejects.toThrow(reason);
    expect(socket.connected).toBe(false);
  });

  test('a client without a token may watch', async () => {
    const concert = await world.createConcert();
    expect((await new Watcher(concert).watch(await connected(newSocket({ token: '' })))).map).toBe('0'.repeat(20));
  });

  test('long polling is refused', async () => {
    const polling = io(world.stack.addresses.booking, { transports: ['polling'], reconnection: false, forceNew: true });
    open.add(polling);
    await expect(connected(polling)).rejects.toThrow();
    const answer = await fetch(`${world.stack.addresses.booking}/socket.io/?EIO=4&transport=polling`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ message: 'Transport unknown' });
  });
});

describe('what a client may ask', () => {
  test('a wrong wish gets a problem, and the connection stays', async () => {
    const concert = await world.createConcert();
    const socket = await connected(newSocket());
    const faulty = [
      null,
      undefined,
      'x',
      17,
      [],
      {},
      { concertId: '1' },
      { concertId: -1 },
      { concertId: 1.5 },
      { concertId: concert.id, more: 1 },
    ];
    for (const body of faulty) {
      const problem = next(socket, 'problem');
      socket.emit('watch', body);
      expect(await problem).toMatchObject({ code: 'invalid_request' });
    }
    const unknown = next(socket, 'problem');
    socket.emit('watch', { concertId: 2_000_000_000 });
    expect(await unknown).toMatchObject({ code: 'not_found' });
    socket.emit('unwatch', 'x');
    socket.emit('no such event', { x: 1 });
    expect((await new Watcher(concert).watch(socket)).map).toBe('0'.repeat(20));
  });

  test('one connection watches a bounded number of concerts; one it left counts no more', async () => {
    const concerts = await Promise.all(Array.from({ length: 11 }, () => world.createConcert({ seatCount: 2 })));
    const socket = await connected(newSocket());
    for (const concert of concerts.slice(0, 10)) await new Watcher(concert).watch(socket);
    const [first, last] = [concerts[0], concerts[10]];
    if (first === undefined || last === undefined) throw new Error('eleven concerts were expected');
    const problem = next(socket, 'problem');
    socket.emit('watch', { concertId: last.id });
    expect(await problem).toMatchObject({ code: 'rate_limited' });
    // Asking again for one of the ten is no further one.
    await new Watcher(first).watch(socket);
    socket.emit('unwatch', { concertId: first.id });
    const watcher = await new Watcher(last).watch(socket);
    const left = new Watcher(first);
    socket.on('delta', (frame: Buffer) => left.deltas.push(readDelta(frame)));
    await granted(first, world.newFan(), 0);
    await granted(last, world.newFan(), 1);
    await until(() => expect(watcher.map).toBe('01'));
    expect(left.deltas.map(({ concertId }) => concertId)).not.toContain(first.id);
  });
});

test('a process that stops says so before it ends its connections', async () => {
  const [name = ''] = world.bookingProcesses;
  const socket = await socketOn(name);
  const closing = next(socket, 'closing');
  const disconnect = next(socket, 'disconnect');
  await world.stack.processes[name]?.restart();
  expect(await closing).toEqual({ reason: expect.stringContaining('Connect again') });
  await disconnect;
});
