import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/stack/files.ts';

/** Adds one line to loadtest/results/: a figure without date, commit and machine says nothing. */
export function appendResult(name: string, result: object): string {
  const folder = join(projectRoot, 'loadtest/results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.jsonl`);
  const line = { date: new Date().toISOString(), commit: commit(), machine: machine(), ...result };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
  return file;
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+changes'}`;
  } catch {
    return 'unknown';
  }
}

function machine(): string {
  const cores = cpus();
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return `${cores.length} x ${cores[0]?.model.trim() ?? 'unknown'}, ${memoryGb} GB, ${process.platform}, Node ${process.version}`;
}
