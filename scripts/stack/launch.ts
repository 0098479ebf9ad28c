import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { logTail } from './logs.ts';

/** A process that answers. */
export interface Running {
  pid: number;
  /** Resolves when it has ended, with how. */
  exited: Promise<string>;
  /** Ends it in order, or by force when that takes too long. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

export interface NodeProcess {
  name: string;
  /** Absolute path of the JavaScript to run. */
  entry: string;
  args?: readonly string[];
  /** The whole environment: nothing else is inherited. */
  env: Readonly<Record<string, string>>;
  cwd: string;
  logFile: string;
  /** Answers 200 when the process is ready. */
  healthUrl: string;
  readyWithinMs: number;
  stopWithinMs: number;
}

const pollMs = 50;

/**
 * Starts a Node process and waits until it is ready.
 * It gets a process group of its own: Ctrl-C in a terminal would otherwise reach every process at once, and not in order.
 * @param onSpawn hears the pid at once, long before the process is ready
 * @throws Error, with the end of the log, when it ends early or is not ready in time.
 */
export async function launchNode(
  spec: NodeProcess,
  onSpawn: (pid: number) => void,
  signal: AbortSignal,
): Promise<Running> {
  const log = openSync(spec.logFile, 'a', 0o600);
  const child = spawn(process.execPath, ['--enable-source-maps', spec.entry, ...(spec.args ?? [])], {
    cwd: spec.cwd,
    env: spec.env,
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, by) => resolve(by ?? `exit code ${code}`));
    child.once('error', (error) => resolve(error.message));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${spec.name} could not be started: ${await exited}`);
  onSpawn(pid);

  const fault = await waitForHealth(spec, child, signal);
  if (fault !== undefined) {
    await end(child, exited, signal.aborted ? spec.stopWithinMs : 0);
    throw new Error(`${spec.name} ${fault}\n${indent(logTail(spec.logFile))}\n  (${spec.logFile})`);
  }
  return {
    pid,
    exited,
    stop: () => end(child, exited, spec.stopWithinMs),
    kill: (name) => {
      child.kill(name);
    },
  };
}

/** Undefined when the process is ready, else what went wrong. */
async function waitForHealth(spec: NodeProcess, child: ChildProcess, signal: AbortSignal): Promise<string | undefined> {
  const deadline = Date.now() + spec.readyWithinMs;
  let last = 'no answer';
  while (Date.now() < deadline) {
    if (hasEnded(child)) return `ended at once (${child.signalCode ?? `exit code ${child.exitCode}`}).`;
    if (signal.aborted) return 'was stopped while it started.';
    const health = await askHealth(spec.healthUrl);
    // The process may have ended meanwhile and somebody else answered.
    if (health === 'ready' && !hasEnded(child)) return undefined;
    last = health;
    await sleep(pollMs);
  }
  return `was not ready within ${spec.readyWithinMs / 1000} s: ${last}.`;
}

/** `ready`, or what the process says (or does not say) instead. */
export async function askHealth(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    const text = await response.text();
    return response.status === 200 ? 'ready' : `${response.status} ${text.slice(0, 300)}`;
  } catch {
    return 'no answer';
  }
}

async function end(child: ChildProcess, exited: Promise<string>, graceMs: number): Promise<void> {
  if (hasEnded(child)) return;
  child.kill(graceMs === 0 ? 'SIGKILL' : 'SIGTERM');
  // A stopped process (SIGSTOP) would sleep through SIGTERM for the whole grace.
  child.kill('SIGCONT');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await exited;
  clearTimeout(force);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
