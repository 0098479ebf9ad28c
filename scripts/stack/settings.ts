import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { commonEnv, envTypes } from '@frontrow/shared/env.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';
import { UserError } from '../cli.ts';
import { projectRoot } from './files.ts';
import { closestTo } from './spelling.ts';

/** At most this many booking processes, as each needs an ops port with a name of its own. */
const bookingProcessesMax = 8;

const bookingOpsPorts = Object.fromEntries(
  Array.from({ length: bookingProcessesMax }, (_, index) => [
    `BOOKING_${index + 1}_OPS_PORT`,
    // 8094 to 8098 belong to the workers and to the other services.
    index < 2 ? 8092 + index : 8097 + index,
  ]),
);

/** Every port of the stack and its default. .env.example says what each is for. */
export const defaultPorts: Readonly<Record<string, number>> = {
  ORIGIN_PORT: 8080,
  USER_PORT: 8081,
  BOOKING_PORT: 8082,
  PAYMENT_PORT: 8083,
  SANDBOX_PORT: 8084,
  USER_OPS_PORT: 8091,
  ...bookingOpsPorts,
  BOOKING_RELAY_OPS_PORT: 8094,
  BOOKING_PERSIST_OPS_PORT: 8095,
  PAYMENT_OPS_PORT: 8096,
  PAYMENT_WORKER_OPS_PORT: 8097,
  SANDBOX_OPS_PORT: 8098,
  REDIS_PORT: 16379,
  MYSQL_PORT: 13306,
};

const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Settings of the services that a person may give: checked here, so that all faults are said at once, and handed on as they are. */
const serviceSchema = z.object({
  LOG_LEVEL: commonEnv.LOG_LEVEL,
  BCRYPT_COST: wholeNumber(4, 15).optional(),
  PROVIDER_TIMEOUT_MS: wholeNumber(100, limits.providerTimeoutMsMax).optional(),
  BUCKET_SHARDS: envTypes.bucketShards.optional(),
  HOLDS_WAITING_MAX: wholeNumber(0, limits.batchWaitingMax).optional(),
  PERSIST_CONCURRENCY: wholeNumber(1, 64).optional(),
  PAYMENT_DRIVES: wholeNumber(1, 1_000).optional(),
  TACTIC_BATCHING: envTypes.flag.optional(),
  TACTIC_EARLY_REFUSAL: envTypes.flag.optional(),
  TACTIC_MAP_MEMORY: envTypes.flag.optional(),
  TACTIC_DELTA_COALESCING: envTypes.flag.optional(),
  TACTIC_TOKEN_MEMORY: envTypes.flag.optional(),
});

/** What the stack itself reads. */
const stackSchema = z.object({
  ...serviceSchema.shape,
  NODE_ENV: commonEnv.NODE_ENV,
  FRONTROW_DATA_DIR: z.string().default('.data'),
  ORIGIN_HOST: z.string().default('127.0.0.1'),
  BOOKING_PROCESSES: wholeNumber(1, bookingProcessesMax).default(2),
  MYSQL_SHARDS: wholeNumber(1, 64).default(2),
  REDIS_URL: envTypes.url('redis', 'rediss').optional(),
  QUEUE_REDIS_URL: envTypes.url('redis', 'rediss').optional(),
  MYSQL_GLOBAL_URL: envTypes.url('mysql').optional(),
  MYSQL_SHARD_URLS: envTypes.mysqlUrls.optional(),
  ...mapValues(defaultPorts, (port) => envTypes.port.default(port)),
});

/** Every variable that may stand in .env. */
export const settingNames: readonly string[] = Object.keys(stackSchema.shape).sort();

export interface Settings {
  nodeEnv: 'development' | 'production' | 'test';
  /** Absolute. Everything the stack writes stands below it. */
  dataDir: string;
  originHost: string;
  bookingProcesses: number;
  mysqlShards: number;
  /** By the variable's name, such as ORIGIN_PORT. */
  ports: Readonly<Record<string, number>>;
  /** Servers of somebody else; undefined means private ones in the data folder. */
  redis: { seats: string; queue: string } | undefined;
  mysql: { global: string; shards: readonly string[] } | undefined;
  /** Handed to every service as it is. */
  serviceEnv: Readonly<Record<string, string>>;
  /** Handed to one process more, by the process's name. */
  processEnv: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What is wrong with the settings: every fault, with the variable's name. */
export class SettingsError extends UserError {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(
      `The settings are not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}\n` +
        '.env.example says what each variable means.',
    );
    this.faults = faults;
  }
}

/**
 * Settings from the environment and the project's `.env` (the environment wins).
 * @throws SettingsError with every fault at once.
 */
export function loadSettings(folder: string = projectRoot): Settings {
  const file = join(folder, '.env');
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
  return parseSettings({ ...fromFile, ...process.env }, unknownNames(Object.keys(fromFile)));
}

/**
 * @param env variables as text; an empty one counts as not given
 * @param faultsSoFar said together with those that are found here
 * @throws SettingsError with every fault at once.
 */
export function parseSettings(env: Readonly<NodeJS.ProcessEnv>, faultsSoFar: readonly string[] = []): Settings {
  const given = Object.fromEntries(Object.entries(env).filter(([name, value]) => value && settingNames.includes(name)));
  const parsed = stackSchema.safeParse(given);
  const issues = parsed.success ? [] : parsed.error.issues;
  const faults = [
    ...faultsSoFar,
    ...issues.map(({ path, message }) => `${path.join('.')}: ${message}`),
    ...urlsThatBelongTogether(given),
  ];
  const ports = portsOf(given, issues.length > 0);
  faults.push(...samePorts(ports, Number(given.BOOKING_PROCESSES ?? 2)));
  if (!parsed.success || faults.length > 0) throw new SettingsError(faults);

  const { data } = parsed;
  const serviceEnv: Record<string, string> = {};
  for (const name of Object.keys(serviceSchema.shape)) if (given[name]) serviceEnv[name] = given[name];
  return {
    nodeEnv: data.NODE_ENV,
    dataDir: resolve(projectRoot, data.FRONTROW_DATA_DIR),
    originHost: data.ORIGIN_HOST,
    bookingProcesses: data.BOOKING_PROCESSES,
    mysqlShards: data.MYSQL_SHARDS,
    ports,
    redis: data.REDIS_URL ? { seats: data.REDIS_URL, queue: data.QUEUE_REDIS_URL ?? data.REDIS_URL } : undefined,
    mysql:
      data.MYSQL_GLOBAL_URL && data.MYSQL_SHARD_URLS
        ? { global: data.MYSQL_GLOBAL_URL, shards: data.MYSQL_SHARD_URLS }
        : undefined,
    serviceEnv,
    processEnv: {},
  };
}

/** Half of the servers given would mix private ones with somebody else's. */
function urlsThatBelongTogether(given: Readonly<NodeJS.ProcessEnv>): string[] {
  const faults: string[] = [];
  if (!given.MYSQL_GLOBAL_URL && given.MYSQL_SHARD_URLS) faults.push('MYSQL_GLOBAL_URL: needed with MYSQL_SHARD_URLS');
  if (given.MYSQL_GLOBAL_URL && !given.MYSQL_SHARD_URLS) faults.push('MYSQL_SHARD_URLS: needed with MYSQL_GLOBAL_URL');
  if (!given.REDIS_URL && given.QUEUE_REDIS_URL) faults.push('REDIS_URL: needed with QUEUE_REDIS_URL');
  return faults;
}

/** The value of a port's variable. */
export function portOf(settings: Pick<Settings, 'ports'>, variable: string): number {
  const port = settings.ports[variable];
  if (port === undefined) throw new Error(`${variable} is not a port of the stack`);
  return port;
}

function portsOf(given: Readonly<NodeJS.ProcessEnv>, lenient: boolean): Record<string, number> {
  return mapValues(defaultPorts, (fallback, name) => {
    const port = Number(given[name] ?? fallback);
    // With a fault elsewhere the comparison below still runs, so that all faults are said in one go.
    return lenient && !Number.isInteger(port) ? fallback : port;
  });
}

/** Two processes on one port would answer for one another. */
function samePorts(ports: Readonly<Record<string, number>>, bookingProcesses: number): string[] {
  const inUse = Object.entries(ports).filter(([name]) => {
    const number = /^BOOKING_(\d+)_OPS_PORT$/.exec(name)?.[1];
    return number === undefined || Number(number) <= bookingProcesses;
  });
  return inUse.flatMap(([name, port], index) =>
    inUse
      .slice(0, index)
      .flatMap(([other, otherPort]) => (port === otherPort ? [`${name}: ${port} is ${other} too`] : [])),
  );
}

/** A misspelt variable in .env would otherwise be passed over in silence. */
function unknownNames(names: readonly string[]): string[] {
  return names
    .filter((name) => !settingNames.includes(name))
    .map((name) => {
      const meant = closestTo(name, settingNames);
      return `${name}: .env has it, but there is no such setting${meant ? `; is ${meant} meant?` : ''}`;
    });
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  change: (value: In, key: string) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}
