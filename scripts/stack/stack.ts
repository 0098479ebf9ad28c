import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from '../build.ts';
import { seed as seedStack } from '../seed.ts';
import { Crew } from './crew.ts';
import { type Databases, type ReadyDatabases, startDatabases } from './databases.ts';
import { projectRoot } from './files.ts';
import { launchNode } from './launch.ts';
import { acquireLock } from './lock.ts';
import { findFreePorts, findTakenPorts } from './ports.ts';
import { type Addresses, addressesOf, environmentOf, healthUrlOf, processTable, wantedPorts } from './processes.ts';
import { loadSecrets, type Secrets } from './secrets.ts';
import { defaultPorts, parseSettings, portOf, type Settings } from './settings.ts';
import type { Supervised } from './supervisor.ts';

/** A system that runs. */
export interface Stack {
  settings: Settings;
  secrets: Secrets;
  addresses: Addresses;
  databases: Databases;
  /**
   * By name: redis, mariadb, user, booking-1, booking-2, booking-relay, booking-persist, payment, payment-worker, sandbox,
   * origin. One that is killed comes back by itself; one that is stopped stays down until it is started.
   */
  processes: Readonly<Record<string, Supervised>>;
  /** Concert ids by the seed's key; empty when nothing was seeded. */
  concerts: Readonly<Record<string, number>>;
  /** Ends everything in order. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends everything at once, by force. */
  killAll(): void;
}

export interface StartOptions {
  /** Kept afterwards; without it the stack gets a temporary folder, which `stop` removes. */
  dataDir?: string;
  /** `free` (the default) finds ports beside every other stack; `default` takes the project's own. */
  ports?: 'free' | 'default';
  /** `test` by default. */
  nodeEnv?: Settings['nodeEnv'];
  bookingProcesses?: number;
  mysqlShards?: number;
  /** Handed to every service. */
  env?: Readonly<Record<string, string>>;
  /** Handed to one process more, by its name. */
  processEnv?: Settings['processEnv'];
  /** Names of processes that are not started. */
  without?: readonly string[];
  /** True makes the demo venues, concerts and users. */
  seed?: boolean;
  /** Hears of progress, deaths and restarts, and of the processes' warnings and errors. */
  say?: (line: string) => void;
}

/** Starts a whole system of its own, with its own servers; beside any other one. For tests and benchmarks. */
export async function startStack(options: StartOptions = {}): Promise<Stack> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'frontrow-stack-'));
  const remove = () => {
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
  };
  const say = options.say ?? (() => undefined);
  const dismissGuard = endWithThisProcess(dataDir);
  try {
    const stack = await runStack(await settingsFor(options, dataDir), { say, without: options.without ?? [] });
    // A test run that ends without `stop` must not leave a system behind.
    process.once('exit', stack.killAll);
    const stop = async () => {
      await stack.stop();
      process.off('exit', stack.killAll);
      dismissGuard();
      remove();
    };
    if (!options.seed) return { ...stack, stop };
    try {
      return { ...stack, stop, concerts: await seedStack({ ...stack, dataDir, say }) };
    } catch (error) {
      await stop();
      throw error;
    }
  } catch (error) {
    dismissGuard();
    remove();
    throw error;
  }
}

/**
 * Ends every process of the stack when this one ends without stopping it, even by SIGKILL and in the middle of the start: a
 * guard waits for the end of a pipe that only this process holds open, and reads the pids from the stack's record.
 * @returns what sends the guard away.
 */
function endWithThisProcess(dataDir: string): () => void {
  const script = `cat >/dev/null; grep -o '"pid": [0-9]*' "$1/stack.json" | grep -o '[0-9]*' | xargs kill -9 2>/dev/null`;
  const guard = spawn('sh', ['-c', script, 'guard', dataDir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return () => {
    guard.kill('SIGKILL');
    guard.stdin?.destroy();
  };
}

async function settingsFor(options: StartOptions, dataDir: string): Promise<Settings> {
  const names = Object.keys(defaultPorts);
  const free = options.ports === 'default' ? undefined : await findFreePorts(names.length);
  const ports = free ? Object.fromEntries(names.map((name, index) => [name, String(free[index])])) : {};
  const settings = parseSettings({
    ...ports,
    NODE_ENV: options.nodeEnv ?? 'test',
    FRONTROW_DATA_DIR: dataDir,
    BOOKING_PROCESSES: String(options.bookingProcesses ?? 2),
    MYSQL_SHARDS: String(options.mysqlShards ?? 2),
  });
  return { ...settings, serviceEnv: options.env ?? {}, processEnv: options.processEnv ?? {} };
}

export interface RunHooks {
  say: (line: string) => void;
  without?: readonly string[];
  /** Aborted while the stack starts, it ends what was started; `runStack` then rejects. */
  signal?: AbortSignal;
  /** Aborted at any time, it ends everything at once. */
  force?: AbortSignal;
}

/** Ports that are taken; nothing was started. */
export class PortsTaken extends Error {}

/**
 * Starts the system that the settings describe: databases, migrations, services, origin.
 * When a part does not start, everything that did is ended again.
 * @throws AlreadyRunning, PortsTaken, or Error with the end of the log of what did not start.
 */
export async function runStack(settings: Settings, hooks: RunHooks): Promise<Stack> {
  const { say, signal } = hooks;
  const lock = await acquireLock(settings.dataDir, settings.nodeEnv, say);
  const crew = new Crew(settings.dataDir, lock, say);
  const abort = () => void crew.stop();
  signal?.addEventListener('abort', abort);
  hooks.force?.addEventListener('abort', () => crew.killAll());
  try {
    const taken = await findTakenPorts(wantedPorts(settings));
    if (taken.length > 0) throw new PortsTaken(taken.join('\n'));
    const secrets = loadSecrets(settings.dataDir);
    mkdirSync(join(settings.dataDir, 'sandbox'), { recursive: true, mode: 0o700 });

    const [databases] = await Promise.all([startDatabases(settings, secrets, crew, say), build()]);
    const addresses = addressesOf(settings);
    lock.update({ addresses, databases: databases.urls });
    await startServices(settings, secrets, databases, crew, hooks);
    signal?.throwIfAborted();
    lock.update({ state: 'running' });
    return {
      settings,
      secrets,
      addresses,
      databases: databases.urls,
      processes: crew.byName(),
      concerts: {},
      stop: () => crew.stop(),
      killAll: () => crew.killAll(),
    };
  } catch (error) {
    await crew.stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

const readyWithinMs = 60_000;
const stopWithinMs = 15_000;

/** Starts each process as soon as those before it are ready; the first that fails ends the wait for all. */
async function startServices(
  settings: Settings,
  secrets: Secrets,
  databases: ReadyDatabases,
  crew: Crew,
  { say, without }: RunHooks,
): Promise<void> {
  const rows = processTable(settings).filter(({ name }) => !without?.includes(name));
  const context = { settings, secrets, redis: databases.urls.redis, mysql: databases.migrated };
  say(`Starting ${rows.map(({ name }) => name).join(', ')} ...`);
  const ready = new Map<string, Promise<unknown>>();
  for (const row of rows) {
    const healthUrl = healthUrlOf(row, settings);
    const { name, entry, stopStage } = row;
    const spec = {
      name,
      entry,
      healthUrl,
      cwd: projectRoot,
      env: environmentOf(row, context),
      readyWithinMs,
      stopWithinMs,
    };
    const about = {
      name,
      healthUrl,
      stopStage,
      ports: row.portVariables.map((variable) => portOf(settings, variable)),
    };
    const before = Promise.all(row.after.map((other) => ready.get(other)));
    const start = () =>
      crew.add(about, (logFile) => (onSpawn, signal) => launchNode({ ...spec, logFile }, onSpawn, signal));
    ready.set(name, before.then(start));
  }
  await Promise.all(ready.values());
}
