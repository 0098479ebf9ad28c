#!/usr/bin/env node
/**
 * The one door to every command of the project: `npm start`, `npm test`, `npm run rush`, ... come through here.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed. It checks what the command
 * needs (Node, packages, the native HTTP server, Redis and MariaDB), puts in place what it can, and then runs the
 * command in this same process, so that a signal reaches the command directly.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureDatabases } from './bootstrap/databases.mjs';
import { checkNativeServer, checkNode } from './bootstrap/native.mjs';
import { ensurePackages } from './bootstrap/packages.mjs';
import { Stop } from './bootstrap/stop.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * `native`: services will run, so a uWebSockets.js binary is needed.
 * `databases`: 'given' accepts servers named by URLs, 'private' needs the programs themselves.
 */
const commands = {
  start: {
    file: 'scripts/stack/start.ts',
    native: true,
    databases: 'given',
    about: 'bring the whole system up, until Ctrl-C',
  },
  stop: { file: 'scripts/stack/stop.ts', about: 'end a system that was started elsewhere' },
  status: { file: 'scripts/stack/status.ts', about: 'what runs, its health and its ports (--json for tools)' },
  tokens: { file: 'scripts/tokens.ts', about: 'access tokens of virtual fans, one a line' },
  rush: { file: 'loadtest/rush.ts', about: '5,000 fans after 1,200 seats, then the audit' },
  audit: { file: 'loadtest/audit.ts', about: 'compare Redis, log, MySQL and the ledger, seat by seat' },
  bench: {
    file: 'scripts/bench/bench.ts',
    databases: 'private',
    about: 'what each tactic is worth, against its control',
  },
  recover: { file: 'scripts/recover.ts', about: "rebuild a concert's state in Redis from MySQL" },
  'dead-changes': { file: 'scripts/dead-changes.ts', about: 'list or replay changes that could not be stored' },
  test: {
    file: 'scripts/test.ts',
    native: true,
    databases: 'private',
    about: 'run every test with servers of its own',
  },
  check: { file: 'scripts/check.ts', native: true, about: 'types, lint, import rules, dead code, generated files' },
};

function commandList() {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  return Object.entries(commands)
    .map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`)
    .join('\n');
}

const usage = () =>
  `Usage: npm start | npm test | npm run <command> [-- options]\n\n${commandList()}\n\n` +
  'Every command answers --help: npm run rush -- --help';

async function main() {
  const [name, ...rest] = process.argv.slice(2);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(usage());
    return;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new Stop(`There is no command "${name}". These there are:\n\n${commandList()}`);

  checkNode();
  ensurePackages(root);
  const onlyHelp = rest.includes('--help') || rest.includes('-h');
  if (!onlyHelp && command.native) checkNativeServer(root);
  if (!onlyHelp && command.databases) {
    if (command.databases === 'given') loadDotEnv();
    ensureDatabases({ acceptUrls: command.databases === 'given' });
  }

  const file = join(root, command.file);
  if (!existsSync(file)) throw new Stop(`${command.file} is missing from this checkout, so "${name}" cannot run.`);
  await runTypeScript(file, rest);
}

/** Runs a TypeScript file in this process; `process.argv` looks to it as if it had been started directly. */
async function runTypeScript(file, args) {
  const { register } = await import(pathToFileURL(join(root, 'node_modules/tsx/dist/esm/api/index.mjs')).href);
  register();
  process.chdir(root);
  process.argv = [process.argv[0], file, ...args];
  await import(pathToFileURL(file).href);
}

/** Server URLs may stand in .env; the command itself checks what is in them. */
function loadDotEnv() {
  const file = join(root, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  console.error(`\n${error.message}\n`);
  process.exitCode = 1;
}
