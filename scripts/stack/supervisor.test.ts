import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Crew } from './crew.ts';
import { launchNode } from './launch.ts';
import { acquireLock, type Lock, readRecord } from './lock.ts';
import { isAlive, markOf } from './pids.ts';
import { findFreePorts } from './ports.ts';
import { Supervised, type SupervisorOptions } from './supervisor.ts';

/** Ready at once; writes its end to a file; `/exit` makes it crash. */
const wellBehaved = `
  import { appendFileSync } from 'node:fs';
  import { createServer } from 'node:http';
  createServer((request, response) => {
    if (request.url === '/exit') process.exit(3);
    response.end('ok');
  }).listen(process.env.PORT, '127.0.0.1');
  process.on('SIGTERM', () => { appendFileSync(process.env.ENDS, process.env.NAME + '\\n'); process.exit(0); });
`;
const deafToSigterm = `${wellBehaved.replace(/process\.on\('SIGTERM'.*\n/, '')} process.on('SIGTERM', () => {});`;
const diesAtOnce = `console.error('no database'); process.exit(4);`;

let folder = '';
let said: string[] = [];
let lock: Lock;
const supervised: Supervised[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-supervisor-'));
  said = [];
  lock = await acquireLock(folder, 'test', (line) => said.push(line));
});
afterEach(async () => {
  await Promise.all(supervised.splice(0).map((process) => process.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function launchOf(name: string, script: string, stopWithinMs = 5_000) {
  const [port = 0] = await findFreePorts(1);
  const entry = join(folder, `${name}.mjs`);
  writeFileSync(entry, script);
  const url = `http://127.0.0.1:${port}`;
  const spec = {
    name,
    entry,
    cwd: folder,
    env: { PORT: String(port), NAME: name, ENDS: join(folder, 'ends') },
    logFile: join(folder, `${name}.log`),
    healthUrl: url,
    readyWithinMs: 10_000,
    stopWithinMs,
  };
  return { url, launch: (onSpawn: (pid: number) => void, signal: AbortSignal) => launchNode(spec, onSpawn, signal) };
}

function superviseWith(
  name: string,
  launch: ConstructorParameters<typeof Supervised>[1],
  options: Partial<SupervisorOptions> = {},
) {
  const process = new Supervised(name, launch, {
    say: (line) => said.push(line),
    onChange: () => undefined,
    pauseMs: 10,
    pauseMaxMs: 40,
    ...options,
  });
  supervised.push(process);
  return process;
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 20 });

test('a process that is killed is said and comes back under another pid', async () => {
  const { launch, url } = await launchOf('one', wellBehaved);
  const one = superviseWith('one', launch);
  await one.start();
  const firstPid = one.pid;
  one.kill('SIGKILL');
  await until(() => expect(one).toMatchObject({ state: 'running', restarts: 1 }));
  expect(one.pid).not.toBe(firstPid);
  expect(said[0]).toContain('one died (SIGKILL)');
  expect((await fetch(url)).status).toBe(200);
});

test('a process that ends by itself is answered like one that is killed', async () => {
  const { launch, url } = await launchOf('one', wellBehaved);
  const one = superviseWith('one', launch);
  await one.start();
  await fetch(`${url}/exit`).catch(() => undefined);
  await until(() => expect(one).toMatchObject({ state: 'running', restarts: 1 }));
  expect(said[0]).toContain('exit code 3');
});

test('a process that keeps dying at once is given up, loudly', async () => {
  const { launch } = await launchOf('one', wellBehaved);
  let starts = 0;
  const one = superviseWith(
    'one',
    (onSpawn, signal) => (starts++ === 0 ? launch(onSpawn, signal) : Promise.reject(new Error('broken'))),
    {
      quickDeathsMax: 3,
    },
  );
  await one.start();
  one.kill('SIGKILL');
  await until(() => expect(one.state).toBe('failed'));
  expect(starts).toBe(3);
  expect(said.at(-1)).toContain('is NOT started again');
});

test('a first start that fails shows the end of the log', async () => {
  const { launch } = await launchOf('one', diesAtOnce);
  const one = superviseWith('one', launch);
  await expect(one.start()).rejects.toThrow(/ended at once \(exit code 4\)[\s\S]*no database/);
  expect(one.state).toBe('failed');
});

test('stopping ends the process for good, and by force when it does not listen', async () => {
  const { launch } = await launchOf('deaf', deafToSigterm, 200);
  const deaf = superviseWith('deaf', launch);
  await deaf.start();
  const mark = markOf(deaf.pid ?? 0);
  await deaf.stop();
  expect(mark && isAlive(mark)).toBe(false);
  expect(deaf).toMatchObject({ state: 'stopped', restarts: 0, pid: undefined });
  await deaf.start();
  expect(deaf.state).toBe('running');
});

test('stopping during the pause before a restart prevents the restart', async () => {
  const { launch } = await launchOf('one', wellBehaved);
  const one = superviseWith('one', launch, { pauseMs: 60_000, pauseMaxMs: 60_000 });
  await one.start();
  one.kill('SIGKILL');
  await until(() => expect(one.state).toBe('waiting'));
  await one.stop();
  expect(one).toMatchObject({ state: 'stopped', restarts: 0 });
});

test('a crew ends its processes stage by stage, and the record names each while it lives', async () => {
  const crew = new Crew(folder, lock, (line) => said.push(line));
  for (const [name, stopStage] of [
    ['database', 4],
    ['service', 1],
    ['worker', 2],
    ['origin', 0],
  ] as const) {
    const { launch } = await launchOf(name, wellBehaved);
    await crew.add({ name, ports: [], stopStage }, () => launch);
  }
  const record = readRecord(folder);
  expect(record?.processes.map(({ name, mark }) => [name, mark !== undefined && isAlive(mark)])).toEqual([
    ['database', true],
    ['service', true],
    ['worker', true],
    ['origin', true],
  ]);
  await Promise.all([crew.stop(), crew.stop()]);
  expect(readFileSync(join(folder, 'ends'), 'utf8').trim().split('\n')).toEqual([
    'origin',
    'service',
    'worker',
    'database',
  ]);
  expect(readRecord(folder)).toBeUndefined();
  await expect(
    crew.add({ name: 'late', ports: [], stopStage: 1 }, () => () => Promise.reject(new Error())),
  ).rejects.toThrow(/ending/);
});

test('a crew that is stopped while a process starts leaves none behind', async () => {
  const neverReady = `setInterval(() => {}, 1000);`;
  const crew = new Crew(folder, lock, (line) => said.push(line));
  const { launch } = await launchOf('slow', neverReady);
  const start = crew.add({ name: 'slow', ports: [], stopStage: 1 }, () => launch);
  const outcome = expect(start).rejects.toThrow(/was stopped while it started/);
  const slow = crew.byName().slow;
  await until(() => expect(slow?.pid).toBeDefined());
  const mark = markOf(slow?.pid ?? 0);
  await crew.stop();
  await outcome;
  expect(mark && isAlive(mark)).toBe(false);
});
