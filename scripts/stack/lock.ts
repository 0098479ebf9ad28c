import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writePrivateJson } from './files.ts';
import { endProcess, isAlive, markOf, type ProcessMark } from './pids.ts';

const mark = z.object({ pid: z.number().int(), born: z.string() });

/** What stands in `.data/stack.json` while a stack lives: who runs it, what runs, and where everything can be found. */
const recordSchema = z.object({
  state: z.enum(['starting', 'running', 'stopping']),
  owner: mark,
  startedAt: z.string(),
  nodeEnv: z.enum(['development', 'production', 'test']),
  /** In the order of their start. */
  processes: z.array(
    z.object({
      name: z.string(),
      mark: mark.optional(),
      state: z.string(),
      restarts: z.number().int(),
      healthUrl: z.string().optional(),
      ports: z.array(z.number().int()),
      logFile: z.string(),
    }),
  ),
  addresses: z
    .object({
      origin: z.string(),
      user: z.string(),
      booking: z.string(),
      payment: z.string(),
      sandbox: z.string(),
      /** Health, metrics and documents, by process. */
      ops: z.record(z.string(), z.string()),
    })
    .optional(),
  /** URLs with their passwords. The administrative ones are `global` and `shards`; the others are the services' own. */
  databases: z
    .object({
      redis: z.object({ seats: z.string(), queue: z.string() }),
      mysql: z.object({
        global: z.string(),
        shards: z.array(z.string()),
        users: z.string(),
        directory: z.string(),
        booking: z.array(z.string()),
        payment: z.array(z.string()),
      }),
    })
    .optional(),
});

export type StackRecord = z.infer<typeof recordSchema>;

/** Somebody's stack runs with this data folder. */
export class AlreadyRunning extends Error {
  readonly record: StackRecord;
  constructor(record: StackRecord) {
    super(`a stack runs already (process ${record.owner.pid})`);
    this.record = record;
  }
}

export interface Lock {
  /** Writes what has changed, for `status`, for tools and for the next start. */
  update(changes: Partial<StackRecord>): void;
  release(): void;
}

const orphanGraceMs = 15_000;

/**
 * One stack a data folder. A record that a killed supervisor left behind is cleared, after the processes that it names
 * are ended: they would hold the ports and the databases' files.
 * @throws AlreadyRunning when the record's owner lives.
 */
export async function acquireLock(
  dataDir: string,
  nodeEnv: StackRecord['nodeEnv'],
  say: (line: string) => void,
): Promise<Lock> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const owner = markOf(process.pid);
  if (!owner) throw new Error('this process cannot be seen');
  let record: StackRecord = { state: 'starting', owner, startedAt: new Date().toISOString(), nodeEnv, processes: [] };
  const file = recordFile(dataDir);

  for (let triesLeft = 5; !claim(file, record); triesLeft--) {
    const left = readRecord(dataDir);
    if (left && isAlive(left.owner)) throw new AlreadyRunning(left);
    if (triesLeft === 0) throw new Error(`${file} cannot be claimed; remove it when no stack runs`);
    if (left) await endOrphans(left, say);
    setAside(file);
  }
  return {
    update: (changes) => {
      record = { ...record, ...changes };
      writePrivateJson(file, record);
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** The record of a data folder; undefined when there is none (or none that can be read). */
export function readRecord(dataDir: string): StackRecord | undefined {
  const parsed = recordSchema.safeParse(readJson(recordFile(dataDir)));
  return parsed.success ? parsed.data : undefined;
}

/** The record of a living stack. */
export function readLivingRecord(dataDir: string): StackRecord | undefined {
  const record = readRecord(dataDir);
  return record && isAlive(record.owner) ? record : undefined;
}

/**
 * Ends what a dead stack left running, the youngest first.
 * A number that now belongs to another process is left alone: its birth differs.
 */
export async function endOrphans(record: StackRecord, say: (line: string) => void): Promise<void> {
  const orphans = record.processes
    .flatMap(({ name, mark }) => (mark && isAlive(mark) ? [{ name, mark }] : []))
    .reverse();
  if (orphans.length === 0) return;
  say(
    `The last stack was killed and left ${orphans.length} processes: ${orphans.map(({ name }) => name).join(', ')}. Ending them ...`,
  );
  const isServer = ({ name }: { name: string }) => name === 'redis' || name === 'mariadb';
  const end = ({ mark }: { mark: ProcessMark }) => endProcess(mark, orphanGraceMs);
  await Promise.all(orphans.filter((orphan) => !isServer(orphan)).map(end));
  await Promise.all(orphans.filter(isServer).map(end));
}

function recordFile(dataDir: string): string {
  return join(dataDir, 'stack.json');
}

/** Creates the record whole or not at all: a reader between creating and writing would take it for a broken one. */
function claim(file: string, record: StackRecord): boolean {
  const whole = `${file}.${process.pid}.claim`;
  writePrivateJson(whole, record);
  try {
    linkSync(whole, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(whole, { force: true });
  }
}

/** Moved first, so that of two starters at once only one removes the old record and none removes the other's new one. */
function setAside(file: string): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = recordSchema.safeParse(readJson(aside));
  if (moved.success && isAlive(moved.data.owner)) renameSync(aside, file);
  else rmSync(aside, { force: true });
}
