import { commandLine, isMain, runCommand, UserError } from '../cli.ts';
import { seed } from '../seed.ts';
import { greeting } from './greeting.ts';
import { AlreadyRunning } from './lock.ts';
import { loadSettings } from './settings.ts';
import { PortsTaken, runStack, type Stack } from './stack.ts';

const usage = `Usage: npm start [-- --no-seed]

Brings the whole system up: Redis and MariaDB (private ones in the data folder, unless REDIS_URL, MYSQL_GLOBAL_URL and
MYSQL_SHARD_URLS name others), migrations, demo data, the services, their workers, the sandbox payment provider and the web
origin. It runs until Ctrl-C, which ends everything in order; a second Ctrl-C ends it at once.

  --no-seed     without the demo venues, concerts and users (in production there are none: their passwords are public)
  --help        this text

Settings stand in .env; .env.example says what each means.`;

/** The terminal and npm both pass a Ctrl-C on, so one press can arrive twice. */
const samePressMs = 1_000;

async function main(): Promise<void> {
  const options = commandLine(usage, { 'no-seed': { type: 'boolean', default: false } });
  const settings = loadSettings();
  const startedAt = performance.now();
  const say = (line: string) =>
    console.log(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] ${line}`);

  const ending = endOnSignals(say);
  let stack: Stack | undefined;
  try {
    stack = await runStack(settings, { say, signal: ending.orderly, force: ending.force });
    const concerts = options['no-seed']
      ? {}
      : await seed({ ...stack, dataDir: settings.dataDir, say, signal: ending.orderly });
    say('Ready.');
    console.log(greeting({ ...stack, concerts }));
    await aborted(ending.orderly);
  } catch (error) {
    if (!ending.orderly.aborted) throw asUserError(error);
  } finally {
    await stack?.stop();
  }
  say('Everything has ended.');
  process.exit(0);
}

/** The first signal ends in order, a second one by force. */
function endOnSignals(say: (line: string) => void): { orderly: AbortSignal; force: AbortSignal } {
  const orderly = new AbortController();
  const force = new AbortController();
  let firstAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!orderly.signal.aborted) {
        firstAt = performance.now();
        say(`${signal}: ending everything in order (again: at once) ...`);
        orderly.abort();
      } else if (performance.now() - firstAt > samePressMs) {
        say('Ending everything at once.');
        force.abort();
        process.exit(1);
      }
    });
  }
  return { orderly: orderly.signal, force: force.signal };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What a person can act upon is said without a stack trace. */
function asUserError(error: unknown): unknown {
  if (error instanceof AlreadyRunning) {
    const { owner, addresses, startedAt } = error.record;
    const where = addresses ? ` at ${addresses.origin}` : '';
    return new UserError(
      `Frontrow runs already${where} (process ${owner.pid}, since ${startedAt}).\nSee it: npm run status   End it: npm stop`,
    );
  }
  if (error instanceof PortsTaken) return new UserError(`Nothing was started.\n${error.message}`);
  if (error instanceof Error)
    return new UserError(`The start failed, and what had started was ended again.\n${error.message}`);
  return error;
}

if (isMain(import.meta.url)) await runCommand(main);
