import { createPool, type Pool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { bucketCount } from '../ids.ts';
import { UnavailableError } from '../result.ts';

export type { PoolConnection } from 'mysql2/promise';

/** Values that a statement takes; a nested array fills `VALUES ?` and `IN (?)`. */
type SqlValue = string | number | boolean | Buffer | Date | null | SqlValue[];
export type SqlParams = readonly SqlValue[];

/** A statement known by name, so that reports and gates can find every one of them. */
export interface Statement {
  name: string;
  sql: string;
}

const registry = new Map<string, Statement>();

/** Declares a statement. Names are unique: `<feature>.<what>`. */
export function statement(name: string, sql: string): Statement {
  const known = registry.get(name);
  if (known !== undefined && known.sql !== sql) throw new Error(`Two statements are called ${name}.`);
  const declared = { name, sql };
  registry.set(name, declared);
  return declared;
}

/** Every statement that the imported modules declare, for EXPLAIN reports. */
export const allStatements = (): readonly Statement[] => [...registry.values()];

/** Runs statements; a pool and a connection in a transaction both can. */
export interface Sql {
  rows<T>(statement: Statement, params: SqlParams): Promise<T[]>;
  /** @returns the number of rows that changed or were matched, as the server counts it. */
  run(statement: Statement, params: SqlParams): Promise<number>;
}

export interface Database extends Sql {
  /** Runs `work` in one transaction on one connection; a rejection rolls back. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Runs `work` while holding the server's advisory lock of this name; null when somebody else holds it. */
  withLock<T>(name: string, work: () => Promise<T>): Promise<T | null>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

const begin = statement('shared.begin', 'BEGIN');
const commit = statement('shared.commit', 'COMMIT');
const rollback = statement('shared.rollback', 'ROLLBACK');
const getLock = statement('shared.getLock', 'SELECT GET_LOCK(?, 0) AS held');
const releaseLock = statement('shared.releaseLock', 'SELECT RELEASE_LOCK(?) AS released');
const one = statement('shared.ping', 'SELECT 1');

export function openDatabase(url: string, connectionsMax = 10): Database {
  const pool: Pool = createPool({
    uri: url,
    connectionLimit: connectionsMax,
    maxIdle: connectionsMax,
    timezone: 'Z',
    dateStrings: false,
    supportBigNumbers: true,
    bigNumberStrings: false,
    charset: 'utf8mb4_unicode_ci',
    connectTimeout: 3_000,
    enableKeepAlive: true,
    // A stack for each query would cost a tenth of a busy process; an error names its statement instead.
    trace: false,
    flags: ['-FOUND_ROWS'],
  });
  // Times are UTC in every column, also those that the server fills in.
  pool.pool.on('connection', (connection) => connection.query("SET time_zone = '+00:00'"));
  const acquire = async (): Promise<PoolConnection> => {
    try {
      return await pool.getConnection();
    } catch (error) {
      throw new UnavailableError(`MySQL cannot be reached: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const withConnection = async <T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> => {
    const connection = await acquire();
    let broken = false;
    try {
      return await work(connection);
    } catch (error) {
      broken = isConnectionFault(error);
      if (broken)
        throw new UnavailableError(`MySQL went away: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    } finally {
      if (broken) connection.destroy();
      else connection.release();
    }
  };
  return {
    rows: (what, params) => withConnection((connection) => sqlOn(connection).rows(what, params)),
    run: (what, params) => withConnection((connection) => sqlOn(connection).run(what, params)),
    transaction: (work) =>
      withConnection(async (connection) => {
        const sql = sqlOn(connection);
        await sql.run(begin, []);
        try {
          const result = await work(sql);
          await sql.run(commit, []);
          return result;
        } catch (error) {
          if (!isConnectionFault(error)) await sql.run(rollback, []);
          throw error;
        }
      }),
    withLock: (name, work) =>
      withConnection(async (connection) => {
        const sql = sqlOn(connection);
        const [row] = await sql.rows<{ held: number | null }>(getLock, [name]);
        if (row?.held !== 1) return null;
        try {
          return await work();
        } finally {
          await sql.rows(releaseLock, [name]);
        }
      }),
    ping: async () => {
      await withConnection((connection) => sqlOn(connection).rows(one, []));
    },
    close: () => pool.end(),
  };
}

function sqlOn(connection: PoolConnection): Sql {
  return {
    rows: async <T>(what: Statement, params: SqlParams): Promise<T[]> => {
      const [rows] = await connection.query<RowDataPacket[]>(what.sql, [...params]).catch(named(what));
      return rows as T[];
    },
    run: async (what, params) => {
      const [result] = await connection.query<ResultSetHeader>(what.sql, [...params]).catch(named(what));
      return result.affectedRows ?? 0;
    },
  };
}

/** The driver's error carries the text with all its values: they are removed, because errors are logged. */
const named =
  (what: Statement) =>
  (error: unknown): never => {
    if (error instanceof Error) Object.assign(error, { sql: undefined, statement: what.name });
    throw error;
  };

const connectionFaults = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR',
  'ER_CONNECTION_KILLED',
]);
const conflictFaults = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD']);

export function sqlErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
const isConnectionFault = (error: unknown): boolean => connectionFaults.has(sqlErrorCode(error));
export const isDuplicate = (error: unknown): boolean => sqlErrorCode(error) === 'ER_DUP_ENTRY';
/**
 * The name of the unique key that a duplicate clashed with; null when the error is no duplicate. The name stands only in the
 * message, at its end: MySQL writes `'table.key'`, MariaDB `'key'`.
 */
export function duplicateKeyName(error: unknown): string | null {
  if (!isDuplicate(error) || !(error instanceof Error)) return null;
  return / for key '(?:[^'.]+\.)?([^'.]+)'$/.exec(error.message)?.[1] ?? null;
}
/** The same work may succeed when it is done again. */
export const isTransient = (error: unknown): boolean =>
  error instanceof UnavailableError || isConnectionFault(error) || conflictFaults.has(sqlErrorCode(error));

/** The shards of a service, and which of them has a bucket. */
export interface Shards {
  all: readonly Database[];
  ofBucket(bucket: number): Database;
  close(): Promise<void>;
}

/** @param bucketShards 256 shard numbers; even, contiguous ranges when not given. */
export function openShards(urls: readonly string[], bucketShards?: readonly number[]): Shards {
  const all = urls.map((url) => openDatabase(url));
  const map =
    bucketShards ??
    Array.from({ length: bucketCount }, (_, bucket) => Math.floor((bucket * urls.length) / bucketCount));
  if (map.some((shard) => shard >= all.length)) throw new Error('BUCKET_SHARDS names a shard that has no URL.');
  return {
    all,
    ofBucket: (bucket) => {
      const shard = all[map[bucket] ?? -1];
      if (shard === undefined) throw new RangeError(`There is no bucket ${bucket}.`);
      return shard;
    },
    close: async () => {
      await Promise.all(all.map((shard) => shard.close()));
    },
  };
}
