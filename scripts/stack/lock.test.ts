import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writePrivateJson } from './files.ts';
import { AlreadyRunning, acquireLock, readLivingRecord, readRecord, type StackRecord } from './lock.ts';
import { isAlive, isGone, markOf } from './pids.ts';

let dataDir = '';
const children: ChildProcess[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'frontrow-lock-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

function startSleeper() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  const mark = child.pid === undefined ? undefined : markOf(child.pid);
  if (!mark) throw new Error('the child has no mark');
  return { child, mark };
}

const acquire = (said: string[] = []) => acquireLock(dataDir, 'test', (line) => said.push(line));

function recordOf(owner: StackRecord['owner'], processes: StackRecord['processes'] = []): StackRecord {
  return { state: 'running', owner, startedAt: '2026-01-01T00:00:00.000Z', nodeEnv: 'test', processes };
}

const worker = (mark: StackRecord['owner']) => ({
  name: 'user',
  mark,
  state: 'running',
  restarts: 0,
  ports: [],
  logFile: '',
});

test('a second stack is refused while the first lives, and may start after it', async () => {
  const lock = await acquire();
  await expect(acquire()).rejects.toBeInstanceOf(AlreadyRunning);
  expect(readLivingRecord(dataDir)?.owner.pid).toBe(process.pid);
  lock.release();
  expect(readRecord(dataDir)).toBeUndefined();
  (await acquire()).release();
});

test('the record of a dead stack is cleared, and what it left running is ended', async () => {
  const owner = startSleeper();
  owner.child.kill('SIGKILL');
  await isGone(owner.mark, 5_000);
  const orphan = startSleeper();
  writePrivateJson(join(dataDir, 'stack.json'), recordOf(owner.mark, [worker(orphan.mark)]));
  expect(readLivingRecord(dataDir)).toBeUndefined();

  const said: string[] = [];
  const lock = await acquire(said);
  expect(said.join()).toContain('user');
  expect(isAlive(orphan.mark)).toBe(false);
  expect(readLivingRecord(dataDir)?.owner.pid).toBe(process.pid);
  lock.release();
});

test('a process that only has the number of a dead one is neither the owner nor an orphan', async () => {
  const stranger = startSleeper();
  const reused = { pid: stranger.mark.pid, born: 'another time' };
  writePrivateJson(join(dataDir, 'stack.json'), recordOf(reused, [worker(reused)]));
  const lock = await acquire();
  expect(isAlive(stranger.mark)).toBe(true);
  lock.release();
});

test('a record that cannot be read is cleared', async () => {
  writeFileSync(join(dataDir, 'stack.json'), '{"state": "runn');
  (await acquire()).release();
});

test('of many starters at once one gets the lock', async () => {
  const owner = startSleeper();
  owner.child.kill('SIGKILL');
  await isGone(owner.mark, 5_000);
  writePrivateJson(join(dataDir, 'stack.json'), recordOf(owner.mark));
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquire()));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
