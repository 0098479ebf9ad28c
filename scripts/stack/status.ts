import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { commandLine, isMain, runCommand } from '../cli.ts';
import { readSeedRecord } from '../seed.ts';
import { askHealth } from './launch.ts';
import { readLivingRecord, type StackRecord } from './lock.ts';
import { loadSecrets } from './secrets.ts';
import { loadSettings } from './settings.ts';

const usage = `Usage: npm run status [-- --json]

Says what runs, its health, its ports and its memory. Exits 1 when nothing runs.

  --json        everything that a tool needs, as one JSON object: addresses of services, health ports, seat Redis, queue
                Redis, MySQL and every shard (with their passwords), the sandbox and its key, secrets, concert ids by
                the seed's key. With npm: npm run --silent status -- --json
  --help        this text`;

interface ProcessStatus {
  name: string;
  pid: number | null;
  state: string;
  /** `ready`, or what it says instead. */
  health: string;
  ports: readonly number[];
  restarts: number;
  memoryMb: number | null;
  logFile: string;
}

/** Everything that tools need to know of a running stack; undefined when none runs. */
export async function stackStatus(dataDir: string) {
  const record = readLivingRecord(dataDir);
  if (!record) return undefined;
  const secrets = loadSecrets(dataDir);
  const processes = await Promise.all(record.processes.map(statusOf));
  return {
    running: true,
    state: record.state,
    pid: record.owner.pid,
    startedAt: record.startedAt,
    nodeEnv: record.nodeEnv,
    dataDir,
    addresses: record.addresses ?? null,
    redis: record.databases?.redis ?? null,
    mysql: record.databases?.mysql ?? null,
    sandbox: { url: record.addresses?.sandbox ?? null, apiKey: secrets.values.sandboxApiKey },
    secrets: {
      file: secrets.file,
      jwtPrivateKeyFile: secrets.jwtPrivateKeyFile,
      jwksFile: secrets.jwksFile,
      serviceToken: secrets.values.serviceToken,
      holdId: secrets.values.holdId,
      sandboxWebhook: secrets.values.sandboxWebhook,
    },
    concerts: readSeedRecord(dataDir).concerts,
    processes,
  };
}

async function statusOf(process: StackRecord['processes'][number]): Promise<ProcessStatus> {
  const { name, mark, state, healthUrl, ports, restarts, logFile } = process;
  const [port = 0] = ports;
  const health = healthUrl ? await askHealth(healthUrl) : (await accepts(port)) ? 'ready' : 'no answer';
  return { name, pid: mark?.pid ?? null, state, health, ports, restarts, memoryMb: memoryMbOf(mark?.pid), logFile };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false));
  });
}

/** Resident memory, where the system shows it. */
function memoryMbOf(pid: number | undefined): number | null {
  if (pid === undefined || process.platform !== 'linux') return null;
  try {
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? null : Math.round(Number(kb) / 1024);
  } catch {
    return null;
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function main(): Promise<void> {
  const { json } = commandLine(usage, { json: { type: 'boolean', default: false } });
  const { dataDir } = loadSettings();
  const status = await stackStatus(dataDir);
  if (!status) process.exitCode = 1;
  if (json) return console.log(JSON.stringify(status ?? { running: false, dataDir }, null, 2));
  if (!status) return console.log(`Nothing runs with the data folder ${dataDir}. Start it: npm start`);

  console.log(`Frontrow is ${status.state} (process ${status.pid}, since ${status.startedAt}).`);
  if (status.addresses) console.log(`Open ${status.addresses.origin}`);
  const rows = status.processes.map((row) => [
    row.name,
    String(row.pid ?? '-'),
    row.state,
    row.health,
    row.ports.join(', '),
    String(row.restarts),
    row.memoryMb === null ? '-' : `${row.memoryMb} MB`,
  ]);
  console.log(`\n${table([['process', 'pid', 'state', 'health', 'ports', 'restarts', 'memory'], ...rows])}`);
}

if (isMain(import.meta.url)) await runCommand(main);
