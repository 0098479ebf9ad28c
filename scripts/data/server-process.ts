import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server of our own that answers. */
export interface RunningServer {
  /** Address with the administrative account's name and password in it. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends it in order (SIGTERM), or by force when it does not end in time. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
}

export interface ServerSpec {
  name: string;
  command: string;
  args: readonly string[];
  url: string;
  port: number;
  dataDir: string;
  /** Receives what the server prints. */
  logFile: string;
  /** True when the server answers real requests; says false in bounded time when nobody does. */
  isReady: () => Promise<boolean>;
  readyWithinMs: number;
  /** Hears the process id at once, before the server answers: whoever must end it after a crash needs it from then on. */
  onSpawn?: ((pid: number) => void) | undefined;
}

const POLL_MS = 25;
const STOP_WITHIN_MS = 30_000;
const LOG_TAIL_LINES = 20;

/**
 * Starts a server and waits until it answers.
 * It runs in a process group of its own, so that Ctrl-C in a terminal reaches only the supervisor, which stops it in order.
 *
 * @throws Error with the tail of the server's log when it ends early or does not answer in time.
 */
export async function startServer(spec: ServerSpec): Promise<RunningServer> {
  const log = openSync(spec.logFile, 'a', 0o600);
  const child = spawn(spec.command, spec.args, { cwd: spec.dataDir, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  if (child.pid !== undefined) spec.onSpawn?.(child.pid);

  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const failure = await waitUntilReady(spec, child, exited);
  if (failure !== undefined) {
    await end(child, exited, 'SIGKILL');
    throw new Error(`${spec.name} on port ${spec.port} ${failure}. The end of ${spec.logFile}:\n${tail(spec.logFile)}`);
  }
  const { pid } = child;
  if (pid === undefined) throw new Error(`${spec.name} has no process id`);

  return {
    url: spec.url,
    port: spec.port,
    pid,
    dataDir: spec.dataDir,
    exited,
    stop: () => end(child, exited, 'SIGTERM'),
    kill: () => end(child, exited, 'SIGKILL'),
  };
}

/** Undefined when the server answers, else what went wrong. */
async function waitUntilReady(
  spec: ServerSpec,
  child: ChildProcess,
  exited: Promise<void>,
): Promise<string | undefined> {
  let spawnError: Error | undefined;
  child.once('error', (error) => {
    spawnError = error;
  });
  const deadline = Date.now() + spec.readyWithinMs;
  while (Date.now() < deadline) {
    if (spawnError) return `could not be started (${spawnError.message})`;
    // Look at the process first: an answer from the port could come from somebody else's server.
    if (hasEnded(child)) return `ended at once (${child.signalCode ?? `exit code ${child.exitCode}`})`;
    const answer = await Promise.race([spec.isReady(), exited.then(() => false)]);
    if (answer && !hasEnded(child)) return undefined;
    await sleep(POLL_MS);
  }
  return `did not answer within ${spec.readyWithinMs / 1000} s`;
}

async function end(child: ChildProcess, exited: Promise<void>, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  child.kill(signal);
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await exited;
  clearTimeout(force);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
