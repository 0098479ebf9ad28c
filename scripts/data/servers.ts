import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import mysql from 'mysql2/promise';
import { type MigratedUrls, migrate } from './migrate.ts';
import { type RunningServer, startServer } from './server-process.ts';

const HOST = '127.0.0.1';
const PROBE_MS = 1_000;
const run = promisify(execFile);

/** Where packages put servers that are not on a user's PATH. */
const EXTRA_DIRS = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/libexec',
  '/opt/homebrew/bin',
  '/opt/homebrew/opt/mariadb/bin',
  '/opt/homebrew/opt/mysql/bin',
  '/usr/local/mysql/bin',
];

export interface RedisOptions {
  /** Kept between starts; made when it does not exist. */
  dataDir: string;
  port: number;
  /** Given to `requirepass`. Without one the server is open to every local process. */
  password?: string;
  /** `always` by default: an acknowledged hold is on disk. */
  appendfsync?: 'always' | 'everysec' | 'no';
  /** More lines of redis.conf. */
  config?: Readonly<Record<string, string>>;
  /** Hears the process id as soon as there is one. */
  onSpawn?: (pid: number) => void;
}

export interface MariadbOptions {
  /** Kept between starts; the database is installed when it holds none. */
  dataDir: string;
  port: number;
  rootPassword: string;
  /** 1 (default): a commit is on disk. 2: a commit survives a killed server, not a power cut. */
  flushLogAtCommit?: 1 | 2;
  redoLogMb?: number;
  bufferPoolMb?: number;
  maxConnections?: number;
  /** More command-line flags, such as `--log-bin`. */
  flags?: readonly string[];
  /** Hears the process id as soon as there is one. */
  onSpawn?: (pid: number) => void;
}

/** A server of one test file. Its address stays the same through `kill` and `restart`. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** Of the server process that runs now. */
  pid(): number;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Stops it when it runs, and starts it again on the same port and data. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export interface TestMysql extends TestServer, MigratedUrls {
  /** Administrative URLs, as MYSQL_GLOBAL_URL and MYSQL_SHARD_URLS would give them. */
  readonly globalUrl: string;
  readonly shardUrls: readonly string[];
}

/** Path of the first of these programs that is installed, or undefined. */
export function findBinary(...names: readonly string[]): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_DIRS].filter((dir) => dir !== '');
  return names.flatMap((name) => dirs.map((dir) => join(dir, name))).find(isExecutable);
}

/** A port of this machine that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/**
 * Starts a private Redis on loopback: append-only file, no snapshots, no eviction.
 *
 * @throws Error when redis-server is missing or does not come up (with its log's tail).
 */
export async function startRedis(options: RedisOptions): Promise<RunningServer> {
  const { dataDir, port, password } = options;
  const command = requireBinary('redis-server');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });

  const settings: Record<string, string> = {
    port: String(port),
    bind: HOST,
    dir: quote(dataDir),
    daemonize: 'no',
    save: '""',
    appendonly: 'yes',
    appendfsync: options.appendfsync ?? 'always',
    'maxmemory-policy': 'noeviction',
    ...(password === undefined ? {} : { requirepass: quote(password) }),
    ...options.config,
  };
  // A file, not arguments: arguments are visible to every user of the machine.
  const configFile = join(dataDir, 'redis.conf');
  const lines = Object.entries(settings).map(([key, value]) => `${key} ${value}\n`);
  writeFileSync(configFile, lines.join(''), { mode: 0o600 });

  const url =
    password === undefined ? `redis://${HOST}:${port}/0` : `redis://:${encodeURIComponent(password)}@${HOST}:${port}/0`;
  return startServer({
    name: 'redis-server',
    command,
    args: [configFile],
    url,
    port,
    dataDir,
    logFile: join(dataDir, 'server.log'),
    isReady: () => redisAnswers(url),
    readyWithinMs: 60_000,
    onSpawn: options.onSpawn,
  });
}

/**
 * Starts a private MariaDB (or MySQL, when only that is installed) on loopback, without a Unix socket: a socket's path
 * may have 107 bytes and a data directory's path may have more.
 * `root` gets the given password at every start, so the password may change between starts.
 *
 * @throws Error when no server is installed or it does not come up (with its log's tail).
 */
export async function startMariadb(options: MariadbOptions): Promise<RunningServer> {
  const { dataDir, port, rootPassword } = options;
  const command = requireBinary('mariadbd', 'mysqld');
  const isMariadb = (await run(command, ['--version'])).stdout.includes('MariaDB');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });

  // Of its own: at its start a server deletes what looks like a temporary table in there, also those of a running neighbour.
  const tempDir = join(dataDir, 'tmp');
  mkdirSync(tempDir, { recursive: true, mode: 0o700 });
  const tables = join(dataDir, 'data');
  if (!existsSync(tables)) await installDatabase(command, isMariadb, tables, tempDir);

  const initFile = join(dataDir, 'init.sql');
  writeFileSync(initFile, rootAccountSql(rootPassword), { mode: 0o600 });

  const redoLog = `${options.redoLogMb ?? 128}M`;
  const url = `mysql://root:${encodeURIComponent(rootPassword)}@${HOST}:${port}`;
  return startServer({
    name: isMariadb ? 'mariadbd' : 'mysqld',
    command,
    args: [
      '--no-defaults',
      ...asRootFlag(),
      `--datadir=${tables}`,
      `--tmpdir=${tempDir}`,
      `--port=${port}`,
      `--bind-address=${HOST}`,
      '--socket=',
      `--pid-file=${join(dataDir, 'server.pid')}`,
      `--init-file=${initFile}`,
      '--skip-name-resolve',
      '--performance-schema=OFF',
      '--character-set-server=utf8mb4',
      '--collation-server=utf8mb4_unicode_ci',
      '--default-time-zone=+00:00',
      `--max-connections=${options.maxConnections ?? 300}`,
      `--innodb-buffer-pool-size=${options.bufferPoolMb ?? 256}M`,
      `--innodb-flush-log-at-trx-commit=${options.flushLogAtCommit ?? 1}`,
      ...(isMariadb
        ? [`--innodb-log-file-size=${redoLog}`]
        : [`--innodb-redo-log-capacity=${redoLog}`, '--disable-log-bin', '--mysqlx=OFF']),
      ...(options.flags ?? []),
    ],
    url,
    port,
    dataDir,
    logFile: join(dataDir, 'server.log'),
    isReady: () => mysqlAnswers(url),
    readyWithinMs: 60_000,
    onSpawn: options.onSpawn,
  });
}

/** A Redis of one test file, in a temporary directory. */
export function startTestRedis(config: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const password = newPassword();
  return startTestServer('redis', (dataDir, port) => startRedis({ dataDir, port, password, config }));
}

/** A database server of one test file, in a temporary directory, with every schema migrated and every service's URL. */
export async function startTestMysql(options: { shards?: number } = {}): Promise<TestMysql> {
  const rootPassword = newPassword();
  const server = await startTestServer('mysql', (dataDir, port) =>
    // 2, not 1: a test kills processes, it does not cut the power.
    startMariadb({ dataDir, port, rootPassword, flushLogAtCommit: 2, redoLogMb: 32, bufferPoolMb: 64 }),
  );
  const globalUrl = `${server.url}/frontrow`;
  const shardUrls = Array.from({ length: options.shards ?? 2 }, (_, shard) => `${server.url}/frontrow_shard_${shard}`);
  try {
    const passwords = { user: newPassword(), booking: newPassword(), payment: newPassword() };
    const urls = await migrate({ globalUrl, shardUrls, passwords });
    return Object.assign(server, { globalUrl, shardUrls }, urls);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Runs a server in a directory of its own. A port can be taken between looking and listening, so it is tried again. */
async function startTestServer(
  name: string,
  start: (dataDir: string, port: number) => Promise<RunningServer>,
): Promise<TestServer> {
  for (let triesLeft = 3; ; triesLeft--) {
    const dataDir = mkdtempSync(join(tmpdir(), `frontrow-test-${name}-`));
    const remove = () => rmSync(dataDir, { recursive: true, force: true });
    try {
      return asTestServer(await start(dataDir, await freePort()), start, remove);
    } catch (error) {
      remove();
      if (triesLeft <= 1) throw error;
    }
  }
}

function asTestServer(
  first: RunningServer,
  start: (dataDir: string, port: number) => Promise<RunningServer>,
  remove: () => void,
): TestServer {
  let server = first;
  const { url, port, dataDir } = first;
  endWithThisProcess(server);

  return {
    url,
    port,
    dataDir,
    pid: () => server.pid,
    kill: () => server.kill(),
    restart: async () => {
      await server.stop();
      server = await start(dataDir, port);
      endWithThisProcess(server);
    },
    stop: async () => {
      await server.stop();
      remove();
    },
  };
}

/**
 * Ends the server and removes its data when this process ends without stopping it, even by SIGKILL: a guard waits for
 * the end of a pipe that only this process holds open.
 */
function endWithThisProcess({ pid, dataDir, exited }: RunningServer): void {
  const script = 'cat >/dev/null; kill -9 "$1"; rm -rf "$2"';
  const guard = spawn('sh', ['-c', script, 'guard', String(pid), dataDir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  void exited.then(() => {
    guard.kill('SIGKILL');
    guard.stdin?.destroy();
  });
}

function newPassword(): string {
  return randomBytes(24).toString('base64url');
}

/** Installs into a directory beside the final one and renames it: an interrupted install is never taken for a whole one. */
async function installDatabase(server: string, isMariadb: boolean, tables: string, tempDir: string): Promise<void> {
  const unfinished = `${tables}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const installer = isMariadb ? requireBinary('mariadb-install-db', 'mysql_install_db') : server;
  const common = ['--no-defaults', ...asRootFlag(), `--datadir=${unfinished}`, `--tmpdir=${tempDir}`];
  const mariadbOnly = ['--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=16M'];
  try {
    await run(installer, [...common, ...(isMariadb ? mariadbOnly : ['--initialize-insecure'])]);
  } catch (error) {
    throw new Error(`${installer} could not install a database in ${unfinished}: ${describeRun(error)}`);
  }
  renameSync(unfinished, tables);
}

/** One statement a line, as `--init-file` wants it. The server runs it before it accepts connections. */
function rootAccountSql(password: string): string {
  const secret = mysql.escape(password);
  return [
    `ALTER USER 'root'@'localhost' IDENTIFIED BY ${secret};`,
    `CREATE USER IF NOT EXISTS 'root'@'${HOST}' IDENTIFIED BY ${secret};`,
    `ALTER USER 'root'@'${HOST}' IDENTIFIED BY ${secret};`,
    `GRANT ALL PRIVILEGES ON *.* TO 'root'@'${HOST}' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}

async function redisAnswers(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    // ioredis has no limit for its handshake, and whoever else listens on the port may never answer it.
    const answer = await Promise.race([redis.connect().then(() => redis.ping()), sleep(PROBE_MS)]);
    return answer === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

async function mysqlAnswers(url: string): Promise<boolean> {
  try {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: PROBE_MS });
    await connection.ping();
    await connection.end();
    return true;
  } catch {
    return false;
  }
}

function requireBinary(...names: readonly string[]): string {
  const found = findBinary(...names);
  if (found === undefined) throw new Error(`${names.join(' or ')} is not installed`);
  return found;
}

/** The database servers refuse to run as root unless it is said. */
function asRootFlag(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function describeRun(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : '';
  return stderr === '' ? error.message : stderr;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
