import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A process, beyond its number: numbers are given again, so whoever wants to end a process that it remembers from a file
 * compares its birth too.
 */
export interface ProcessMark {
  pid: number;
  /** When it was born, in the system's own words: compared, never shown. */
  born: string;
}

/** The mark of a living process, or undefined when there is none with that number. */
export function markOf(pid: number): ProcessMark | undefined {
  const born = process.platform === 'linux' ? bornOnLinux(pid) : bornByPs(pid);
  return born === undefined ? undefined : { pid, born };
}

export function isAlive(mark: ProcessMark): boolean {
  return markOf(mark.pid)?.born === mark.born;
}

/** How the process was started, for a person to recognise it; undefined when that cannot be seen. */
export function commandOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') return ps(pid, 'command');
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
    return words.join(' ') || undefined;
  } catch {
    return undefined;
  }
}

/** Asks a process to end, and ends it by force after `graceMs`. Resolves when it is gone. */
export async function endProcess(mark: ProcessMark, graceMs: number): Promise<'ended' | 'killed'> {
  if (!signal(mark, 'SIGTERM')) return 'ended';
  if (await isGone(mark, graceMs)) return 'ended';
  signal(mark, 'SIGKILL');
  await isGone(mark, 5_000);
  return 'killed';
}

/** Waits until the process is gone; false when it still lives after `withinMs`. */
export async function isGone(mark: ProcessMark, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (isAlive(mark)) {
    if (Date.now() >= deadline) return false;
    await sleep(25);
  }
  return true;
}

function signal(mark: ProcessMark, name: NodeJS.Signals): boolean {
  if (!isAlive(mark)) return false;
  try {
    process.kill(mark.pid, name);
    return true;
  } catch {
    return false;
  }
}

function bornOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in brackets and may itself hold spaces and brackets; what follows the last one is plain.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    const startTicks = fields[19];
    if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
    // Ticks count from the boot, so the boot belongs to the mark.
    return `${bootId()}:${startTicks}`;
  } catch {
    return undefined;
  }
}

let knownBootId: string | undefined;
function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return knownBootId;
}

function bornByPs(pid: number): string | undefined {
  try {
    return ps(pid, 'lstart');
  } catch {
    return undefined;
  }
}

function ps(pid: number, column: string): string | undefined {
  const text = execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();
  return text === '' ? undefined : text;
}
