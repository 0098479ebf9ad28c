import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { io } from 'socket.io-client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { projectRoot } from './files.ts';
import { readLivingRecord, readRecord } from './lock.ts';
import { isAlive, type ProcessMark } from './pids.ts';
import { findFreePorts } from './ports.ts';
import { defaultPorts } from './settings.ts';
import { type Stack, startStack } from './stack.ts';

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 90_000, interval: 100 });

describe('npm start, as a person uses it', () => {
  let dataDir = '';
  let env: NodeJS.ProcessEnv = {};
  const started: ChildProcess[] = [];
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'frontrow-cli-'));
    const names = Object.keys(defaultPorts);
    const ports = await findFreePorts(names.length);
    const own = Object.fromEntries(names.map((name, index) => [name, String(ports[index])]));
    env = { ...process.env, ...own, FRONTROW_DATA_DIR: dataDir, NODE_ENV: 'test', BCRYPT_COST: '4' };
  });
  afterAll(async () => {
    await run('stop');
    for (const child of started) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** Starts a command; `said` grows with its output. */
  function begin(...args: string[]) {
    const child = spawn(process.execPath, [join(projectRoot, 'scripts/bootstrap.mjs'), ...args], {
      env,
      stdio: 'pipe',
    });
    started.push(child);
    const command = { child, said: '', exited: new Promise<number | null>((resolve) => child.once('close', resolve)) };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (command.said += chunk.toString()));
    return command;
  }

  async function run(...args: string[]) {
    const command = begin(...args);
    return { code: await command.exited, said: command.said };
  }

  async function startUntilReady() {
    const command = begin('start', '--no-seed');
    await until(() => {
      if (command.child.exitCode !== null) throw new Error(command.said);
      expect(command.said).toContain('Frontrow is ready');
    });
    return command;
  }

  const marks = (): ProcessMark[] => (readRecord(dataDir)?.processes ?? []).flatMap(({ mark }) => mark ?? []);

  test('it starts, shows itself, refuses a second start, and ends everything on Ctrl-C', async () => {
    const first = await startUntilReady();
    const all = marks();
    expect(all.length).toBeGreaterThanOrEqual(10);

    const second = await run('start');
    expect(second.code).toBe(1);
    expect(second.said).toContain(`Frontrow runs already at http://127.0.0.1:${env.ORIGIN_PORT}`);

    const status = await run('status', '--json');
    const told = JSON.parse(status.said);
    expect(told).toMatchObject({ state: 'running', addresses: { origin: `http://127.0.0.1:${env.ORIGIN_PORT}` } });
    expect(told.processes.map(({ health }: { health: string }) => health)).toEqual(told.processes.map(() => 'ready'));
    expect((await run('status')).said).toContain('booking-2');

    first.child.kill('SIGINT');
    expect(await first.exited).toBe(0);
    expect(all.filter(isAlive)).toEqual([]);
    expect(readRecord(dataDir)).toBeUndefined();
    expect((await run('status')).code).toBe(1);
  });

  test('what a killed supervisor leaves behind is ended by the next start; npm stop ends that one', async () => {
    const first = await startUntilReady();
    const orphans = marks();
    first.child.kill('SIGKILL');
    await first.exited;
    expect(orphans.filter(isAlive)).toEqual(orphans);

    const second = await startUntilReady();
    expect(second.said).toContain('was killed and left');
    expect(orphans.filter(isAlive)).toEqual([]);
    const all = marks();

    const stop = await run('stop');
    expect([stop.code, await second.exited]).toEqual([0, 0]);
    expect(all.filter(isAlive)).toEqual([]);
  });

  test('Ctrl-C while it starts leaves nothing running', async () => {
    const command = begin('start', '--no-seed');
    await until(() => expect(marks().length).toBeGreaterThan(2));
    const soFar = marks();
    command.child.kill('SIGINT');
    expect(await command.exited).toBe(0);
    expect(soFar.filter(isAlive)).toEqual([]);
    expect(readLivingRecord(dataDir)).toBeUndefined();
  });
});

describe('a stack of a test', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({ seed: true, env: { BCRYPT_COST: '4' } });
  });
  afterAll(() => stack?.stop());

  test('has the concerts of the seed, the nearly sold out one among them', async () => {
    const id = stack.concerts['last-seats'];
    const response = await fetch(`${stack.addresses.origin}/api/concerts/${id}/seatmap`);
    const { states } = (await response.json()) as { states: string };
    const sold = [...states].filter((state) => state === '2').length / states.length;
    expect(sold).toBeGreaterThan(0.93);
    expect(sold).toBeLessThan(1);
  });

  test('a live map passes through the origin', async () => {
    const socket = io(stack.addresses.origin, { transports: ['websocket'], reconnection: false });
    const snapshot = new Promise((resolve, reject) => {
      socket.once('snapshot', resolve);
      socket.once('connect_error', reject);
    });
    socket.emit('watch', { concertId: stack.concerts.theatre });
    expect(await snapshot).toMatchObject({ concertId: stack.concerts.theatre });
    socket.disconnect();
  });

  test.each(['redis', 'mariadb', 'booking-1', 'payment-worker'])('%s comes back when it is killed', async (name) => {
    const member = stack.processes[name];
    const pid = member?.pid;
    member?.kill('SIGKILL');
    await until(() => expect(member).toMatchObject({ state: 'running', restarts: 1 }));
    expect(member?.pid).not.toBe(pid);
    await until(async () => expect((await fetch(`${stack.addresses.origin}/api/concerts`)).status).toBe(200));
  });

  test('a second stack runs beside it', async () => {
    const other = await startStack({ without: ['payment', 'payment-worker', 'origin'] });
    expect(other.addresses.booking).not.toBe(stack.addresses.booking);
    await other.stop();
    expect((await fetch(`${stack.addresses.origin}/api/concerts`)).status).toBe(200);
  });
});
