import { fileURLToPath } from 'node:url';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import Postgrator from 'postgrator';

export interface MigrateOptions {
  /** Administrative URL of the server that holds users and the concert directory; its path is the schemas' prefix. */
  globalUrl: string;
  /** One administrative URL a shard, in shard order; each path is that shard's prefix. */
  shardUrls: readonly string[];
  /** Passwords that the service accounts get, on every server. */
  passwords: { user: string; booking: string; payment: string };
  /** Told about each migration that is applied. */
  onApplied?: (schema: string, migration: string) => void;
}

/** What each service connects with: its own account, its own schema. */
export interface MigratedUrls {
  readonly usersUrl: string;
  readonly directoryUrl: string;
  readonly bookingShardUrls: readonly string[];
  readonly paymentShardUrls: readonly string[];
}

type Owner = keyof MigrateOptions['passwords'];

interface Schema {
  /** Stands behind the prefix of the administrative URL. */
  suffix: string;
  owner: Owner;
  /** Folder under `db/`. */
  folder: string;
}

const USERS: Schema = { suffix: 'users', owner: 'user', folder: 'global/users' };
const DIRECTORY: Schema = { suffix: 'directory', owner: 'booking', folder: 'global/directory' };
const BOOKING: Schema = { suffix: 'booking', owner: 'booking', folder: 'shard/booking' };
const PAYMENT: Schema = { suffix: 'payment', owner: 'payment', folder: 'shard/payment' };

const DB_FOLDER = fileURLToPath(new URL('../../db', import.meta.url));
/** One migrator at a time on a server: MySQL commits DDL at once, so two of them would see each other's halves. */
const LOCK_NAME = 'frontrow_migrate';
const LOCK_WITHIN_S = 120;
/** MySQL allows 64 characters in a schema's name; the longest suffix takes 10. */
const PREFIX_PATTERN = /^[A-Za-z0-9_]{1,54}$/;

/**
 * Brings every schema to its newest version and every service account to its password and rights. Safe to run again and
 * at the same time as another migrator.
 *
 * @throws Error when a server cannot be reached, a URL names no schema prefix, or a migration fails or was changed after it ran.
 */
export async function migrate(options: MigrateOptions): Promise<MigratedUrls> {
  const [usersUrl, directoryUrl] = await migrateServer(options, options.globalUrl, [USERS, DIRECTORY]);
  const bookingShardUrls: string[] = [];
  const paymentShardUrls: string[] = [];
  for (const shardUrl of options.shardUrls) {
    const [bookingUrl, paymentUrl] = await migrateServer(options, shardUrl, [BOOKING, PAYMENT]);
    bookingShardUrls.push(bookingUrl);
    paymentShardUrls.push(paymentUrl);
  }
  return { usersUrl, directoryUrl, bookingShardUrls, paymentShardUrls };
}

/** Migrates two schemas behind one administrative URL and gives back the service URLs in the same order. */
async function migrateServer(
  options: MigrateOptions,
  adminUrl: string,
  schemas: readonly [Schema, Schema],
): Promise<[string, string]> {
  const prefix = schemaPrefix(adminUrl);
  const connection = await mysql.createConnection({
    uri: withDatabase(adminUrl, ''),
    multipleStatements: true,
    timezone: 'Z',
  });
  try {
    await takeLock(connection);
    for (const schema of schemas) await migrateSchema(options, connection, prefix, schema);
  } finally {
    // The lock is the connection's: it goes with it.
    await connection.end();
  }
  const serviceUrl = ({ suffix, owner }: Schema) =>
    withAccount(withDatabase(adminUrl, `${prefix}_${suffix}`), accountName(owner), options.passwords[owner]);
  return [serviceUrl(schemas[0]), serviceUrl(schemas[1])];
}

async function migrateSchema(
  options: MigrateOptions,
  connection: Connection,
  prefix: string,
  { suffix, owner, folder }: Schema,
): Promise<void> {
  const database = `${prefix}_${suffix}`;
  await connection.query(
    `CREATE DATABASE IF NOT EXISTS ${mysql.escapeId(database)} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`,
  );
  await connection.query(`USE ${mysql.escapeId(database)}`);
  await grantOwner(connection, database, accountName(owner), options.passwords[owner]);

  const postgrator = new Postgrator({
    driver: 'mysql',
    database,
    // Postgrator finds files by a glob pattern, in which a backslash escapes.
    migrationPattern: `${DB_FOLDER.replaceAll('\\', '/')}/${folder}/*.sql`,
    // The checksum must not depend on how git checks files out.
    newline: 'LF',
    execQuery: async (sql) => ({ rows: await queryRows(connection, sql) }),
  });
  postgrator.on('migration-finished', ({ version, name }) => options.onApplied?.(database, `${version}.${name}`));
  try {
    await postgrator.migrate();
  } catch (error) {
    throw new Error(`migrating ${database}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The account can read and write rows of this schema, and nothing else: no DDL at run time. */
async function grantOwner(connection: Connection, database: string, account: string, password: string): Promise<void> {
  const who = `${mysql.escape(account)}@'%'`;
  await connection.query(`CREATE USER IF NOT EXISTS ${who} IDENTIFIED BY ?`, [password]);
  await connection.query(`ALTER USER ${who} IDENTIFIED BY ?`, [password]);
  // In GRANT, an underscore in a schema's name is a wildcard unless it is escaped.
  const pattern = database.replaceAll('_', '\\_');
  await connection.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${mysql.escapeId(pattern)}.* TO ${who}`);
}

async function takeLock(connection: Connection): Promise<void> {
  const [row] = await queryRows(connection, `SELECT GET_LOCK('${LOCK_NAME}', ${LOCK_WITHIN_S}) AS taken`);
  if (Number(row?.taken) !== 1)
    throw new Error(`another migrator has held the lock ${LOCK_NAME} for ${LOCK_WITHIN_S} s`);
}

async function queryRows(connection: Connection, sql: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  // A statement without a result set answers a header, not rows.
  return Array.isArray(rows) ? rows : [];
}

function accountName(owner: Owner): string {
  return `fr_${owner}`;
}

function schemaPrefix(adminUrl: string): string {
  const prefix = new URL(adminUrl).pathname.slice(1);
  if (!PREFIX_PATTERN.test(prefix)) {
    throw new Error(`the MySQL URL of ${new URL(adminUrl).host} must end in a schema prefix, such as /frontrow`);
  }
  return prefix;
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

function withAccount(url: string, name: string, password: string): string {
  const changed = new URL(url);
  changed.username = name;
  changed.password = encodeURIComponent(password);
  return changed.toString();
}
