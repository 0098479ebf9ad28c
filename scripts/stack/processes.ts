import { join } from 'node:path';
import type { MigratedUrls } from '../data/migrate.ts';
import { projectRoot } from './files.ts';
import type { StackRecord } from './lock.ts';
import type { WantedPort } from './ports.ts';
import type { Secrets } from './secrets.ts';
import { portOf, type Settings } from './settings.ts';

const loopback = '127.0.0.1';

/** Where each part answers, seen from this machine. */
export type Addresses = NonNullable<StackRecord['addresses']>;

/** What a process needs to know about the others. */
export interface ProcessContext {
  settings: Settings;
  secrets: Secrets;
  redis: { seats: string; queue: string };
  mysql: MigratedUrls;
}

/** One row of the table of processes. */
export interface ProcessRow {
  name: string;
  /** The bundle that it runs. */
  entry: string;
  /** The variables that name its ports: the first is the one that serves; the last answers for its health. */
  portVariables: readonly string[];
  purpose: string;
  healthPath: string;
  /** These are ready before it starts. */
  after: readonly string[];
  /** Ended in this order; the same number together. Who takes requests goes first, the databases last. */
  stopStage: number;
  /** Its own variables, beside those that every process gets. */
  env: (context: ProcessContext) => Record<string, string>;
}

/** The whole system, in the order of its start. Redis and MariaDB, when they are ours, come before it. */
export function processTable(settings: Settings): ProcessRow[] {
  const bookingNames = Array.from({ length: settings.bookingProcesses }, (_, index) => `booking-${index + 1}`);
  return [
    service('sandbox', 'sandbox-provider', 'main', ['SANDBOX_PORT', 'SANDBOX_OPS_PORT'], [], sandboxEnv),
    service('user', 'user-service', 'main', ['USER_PORT', 'USER_OPS_PORT'], [], userEnv),
    ...bookingNames.map((name, index) =>
      service(name, 'booking-service', 'main', ['BOOKING_PORT', `BOOKING_${index + 1}_OPS_PORT`], [], bookingEnv),
    ),
    service('booking-relay', 'booking-service', 'worker', ['BOOKING_RELAY_OPS_PORT'], [], (context) => ({
      ...bookingEnv(context),
      WORKER_ROLES: 'relay,sweep,recovery',
    })),
    service('booking-persist', 'booking-service', 'worker', ['BOOKING_PERSIST_OPS_PORT'], [], (context) => ({
      ...bookingEnv(context),
      WORKER_ROLES: 'persist',
    })),
    service('payment', 'payment-service', 'main', ['PAYMENT_PORT', 'PAYMENT_OPS_PORT'], bookingNames, paymentEnv),
    service('payment-worker', 'payment-service', 'worker', ['PAYMENT_WORKER_OPS_PORT'], bookingNames, paymentEnv),
    {
      name: 'origin',
      entry: join(projectRoot, 'scripts/dist/origin.js'),
      portVariables: ['ORIGIN_PORT'],
      purpose: 'the web origin',
      healthPath: '/health/ready',
      after: ['user', 'payment', ...bookingNames],
      stopStage: 0,
      env: originEnv,
    },
  ];
}

/** The environment of one process: these variables and nothing else of ours. */
export function environmentOf(row: ProcessRow, context: ProcessContext): Record<string, string> {
  const { settings, secrets } = context;
  const serves = row.portVariables[0];
  const answers = row.portVariables.at(-1);
  return {
    ...inherited(),
    NODE_ENV: settings.nodeEnv,
    LOG_LEVEL: 'info',
    HOST: loopback,
    PROCESS_NAME: row.name,
    ...(serves === undefined || row.portVariables.length === 1 ? {} : { PORT: String(portOf(settings, serves)) }),
    ...(answers === undefined ? {} : { OPS_PORT: String(portOf(settings, answers)) }),
    JWKS_FILE: secrets.jwksFile,
    SERVICE_TOKEN_SECRET: secrets.values.serviceToken,
    ...row.env(context),
    ...settings.serviceEnv,
    ...settings.processEnv[row.name],
  };
}

export function healthUrlOf(row: ProcessRow, settings: Settings): string {
  const variable = row.portVariables.at(-1) ?? '';
  return `http://${loopback}:${portOf(settings, variable)}${row.healthPath}`;
}

/** Every port that the stack will listen on, each once. */
export function wantedPorts(settings: Settings): WantedPort[] {
  const wanted = new Map<string, WantedPort>();
  const want = (variable: string, purpose: string, host = loopback) =>
    wanted.set(variable, { variable, purpose, host, port: portOf(settings, variable) });
  if (!settings.redis) want('REDIS_PORT', 'the private Redis');
  if (!settings.mysql) want('MYSQL_PORT', 'the private MariaDB');
  for (const row of processTable(settings)) {
    for (const variable of row.portVariables) {
      const host = row.name === 'origin' ? settings.originHost : loopback;
      want(variable, variable.includes('OPS') ? `the health and metrics of ${row.name}` : row.purpose, host);
    }
  }
  return [...wanted.values()];
}

export function addressesOf(settings: Settings): Addresses {
  const at = (variable: string) => `http://${loopback}:${portOf(settings, variable)}`;
  const services = processTable(settings).filter(({ name }) => name !== 'origin');
  return {
    origin: at('ORIGIN_PORT'),
    user: at('USER_PORT'),
    booking: at('BOOKING_PORT'),
    payment: at('PAYMENT_PORT'),
    sandbox: at('SANDBOX_PORT'),
    ops: Object.fromEntries(services.map((row) => [row.name, at(row.portVariables.at(-1) ?? '')])),
  };
}

function service(
  name: string,
  workspace: string,
  bundle: 'main' | 'worker',
  portVariables: readonly string[],
  after: readonly string[],
  env: ProcessRow['env'],
): ProcessRow {
  const stopStage = name === 'sandbox' ? 3 : bundle === 'worker' ? 2 : 1;
  const entry = join(projectRoot, 'services', workspace, 'dist', `${bundle}.js`);
  return { name, entry, portVariables, purpose: workspace, healthPath: '/health/ready', after, stopStage, env };
}

/** What a Node process may need from whoever starts it. Nothing that carries a secret or a setting of the stack. */
function inherited(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'TZ', 'LANG', 'SystemRoot', 'NODE_EXTRA_CA_CERTS'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

function userEnv({ secrets, mysql }: ProcessContext): Record<string, string> {
  return { USERS_MYSQL_URL: mysql.usersUrl, JWT_PRIVATE_KEY_FILE: secrets.jwtPrivateKeyFile };
}

function bookingEnv({ secrets, redis, mysql }: ProcessContext): Record<string, string> {
  return {
    REDIS_URL: redis.seats,
    QUEUE_REDIS_URL: redis.queue,
    DIRECTORY_MYSQL_URL: mysql.directoryUrl,
    BOOKING_SHARD_URLS: mysql.bookingShardUrls.join(','),
    HOLD_ID_SECRET: secrets.values.holdId,
  };
}

function paymentEnv({ settings, secrets, redis, mysql }: ProcessContext): Record<string, string> {
  return {
    QUEUE_REDIS_URL: redis.queue,
    PAYMENT_SHARD_URLS: mysql.paymentShardUrls.join(','),
    HOLD_ID_SECRET: secrets.values.holdId,
    BOOKING_INTERNAL_URL: `http://${loopback}:${portOf(settings, 'BOOKING_PORT')}`,
    SANDBOX_URL: `http://${loopback}:${portOf(settings, 'SANDBOX_PORT')}`,
    SANDBOX_API_KEY: secrets.values.sandboxApiKey,
    SANDBOX_WEBHOOK_SECRET: secrets.values.sandboxWebhook,
  };
}

function sandboxEnv({ settings, secrets }: ProcessContext): Record<string, string> {
  return {
    SANDBOX_API_KEY: secrets.values.sandboxApiKey,
    SANDBOX_WEBHOOK_SECRET: secrets.values.sandboxWebhook,
    SANDBOX_WEBHOOK_URL: `http://${loopback}:${portOf(settings, 'PAYMENT_PORT')}/api/webhooks/sandbox`,
    SANDBOX_LEDGER_FILE: join(settings.dataDir, 'sandbox/ledger.jsonl'),
  };
}

function originEnv({ settings }: ProcessContext): Record<string, string> {
  const { user, booking, payment, ops } = addressesOf(settings);
  return {
    ORIGIN_HOST: settings.originHost,
    ORIGIN_PORT: String(portOf(settings, 'ORIGIN_PORT')),
    WEB_FOLDER: join(projectRoot, 'web/dist'),
    WELCOME_FILE: join(projectRoot, 'scripts/stack/welcome.html'),
    USER_URL: user,
    BOOKING_URL: booking,
    PAYMENT_URL: payment,
    USER_OPS_URL: ops.user ?? '',
    BOOKING_OPS_URL: ops['booking-1'] ?? '',
    PAYMENT_OPS_URL: ops.payment ?? '',
  };
}
