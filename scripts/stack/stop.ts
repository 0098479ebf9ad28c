import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, isMain, runCommand, UserError } from '../cli.ts';
import { endOrphans, readLivingRecord, readRecord } from './lock.ts';
import { isGone } from './pids.ts';
import { loadSettings } from './settings.ts';

const usage = `Usage: npm stop [-- --force]

Ends a system that was started elsewhere, in order, and waits until it is gone. Data stay.

  --force       end it at once when it does not end in order
  --help        this text`;

const withinMs = 90_000;

async function main(): Promise<void> {
  const { force } = commandLine(usage, { force: { type: 'boolean', default: false } });
  const { dataDir } = loadSettings();
  const record = readLivingRecord(dataDir);
  if (!record) return clearRemains(dataDir);

  const { owner } = record;
  console.log(`Ending process ${owner.pid} and everything that it started ...`);
  process.kill(owner.pid, 'SIGTERM');
  if (!(await isGone(owner, withinMs))) {
    if (!force)
      throw new UserError(`It has not ended within ${withinMs / 1000} s. End it at once: npm stop -- --force`);
    process.kill(owner.pid, 'SIGKILL');
    await isGone(owner, 5_000);
    await clearRemains(dataDir);
  }
  console.log('It has ended.');
}

/** A supervisor that was killed leaves its record, and perhaps processes. */
async function clearRemains(dataDir: string): Promise<void> {
  const left = readRecord(dataDir);
  if (!left) return console.log(`Nothing runs with the data folder ${dataDir}.`);
  await endOrphans(left, (line) => console.log(line));
  rmSync(join(dataDir, 'stack.json'), { force: true });
  console.log('What a killed stack had left behind is cleared.');
}

if (isMain(import.meta.url)) await runCommand(main);
