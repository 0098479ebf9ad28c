import { type Role, roleSchema } from '@frontrow/shared/contracts/user.ts';
import { formatUuid, type UserId, uuidToBytes } from '@frontrow/shared/ids.ts';
import { type Database, duplicateKeyName, statement } from '@frontrow/shared/mysql/pool.ts';
import { fail, ok, type Result } from '@frontrow/shared/result.ts';
import type { Account } from './account.ts';

export type Clash = 'email_taken' | 'username_taken';

export interface AccountRepo {
  insert(account: Account): Promise<Result<Account, Clash>>;
  byId(id: UserId): Promise<Account | null>;
  byEmail(email: string): Promise<Account | null>;
  setRole(id: UserId, role: Role): Promise<void>;
}

const insertAccount = statement(
  'account.insert',
  'INSERT INTO users (id, username, email, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, ?)',
);
const columns = 'id, username, email, password_hash, role, created_at';
const selectById = statement('account.byId', `SELECT ${columns} FROM users WHERE id = ?`);
const selectByEmail = statement('account.byEmail', `SELECT ${columns} FROM users WHERE email = ?`);
const updateRole = statement('account.setRole', 'UPDATE users SET role = ? WHERE id = ?');

interface Row {
  id: Buffer;
  username: string;
  email: string;
  password_hash: string;
  role: string;
  created_at: Date;
}

/** The unique keys of `users`, by what their clash means to the caller. */
const clashes: Readonly<Record<string, Clash>> = { users_email: 'email_taken', users_username: 'username_taken' };

export function createAccountRepo(database: Database): AccountRepo {
  const first = (rows: Row[]): Account | null => (rows[0] ? accountOf(rows[0]) : null);
  return {
    insert: async (account) => {
      const { id, username, email, passwordHash, role, createdAt } = account;
      try {
        await database.run(insertAccount, [uuidToBytes(id), username, email, passwordHash, role, createdAt]);
        return ok(account);
      } catch (error) {
        const clash = clashes[duplicateKeyName(error) ?? ''];
        if (clash === undefined) throw error;
        return fail(clash);
      }
    },
    byId: async (id) => first(await database.rows<Row>(selectById, [uuidToBytes(id)])),
    byEmail: async (email) => first(await database.rows<Row>(selectByEmail, [email])),
    setRole: async (id, role) => {
      await database.run(updateRole, [role, uuidToBytes(id)]);
    },
  };
}

const accountOf = (row: Row): Account => ({
  id: formatUuid(row.id),
  username: row.username,
  email: row.email,
  passwordHash: row.password_hash,
  role: roleSchema.parse(row.role),
  createdAt: row.created_at,
});
