import {
  internalUserBody,
  internalUserReply,
  type Role,
  registerBody,
  userIdParams,
  userReply,
} from '@frontrow/shared/contracts/user.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { newUserId } from '@frontrow/shared/ids.ts';
import { fail, type Result } from '@frontrow/shared/result.ts';
import type { AccountRepo, Clash } from './account.repo.ts';
import { type Account, accountView, mayRead } from './account.ts';
import type { Passwords } from './password.ts';

interface Dependencies {
  accounts: AccountRepo;
  passwords: Passwords;
}

interface NewAccount {
  username: string;
  email: string;
  password: string;
  role: Role;
}

export function accountRoutes({ accounts, passwords }: Dependencies): Route[] {
  const create = async (wanted: NewAccount): Promise<Result<Account, Clash | 'overloaded'>> => {
    const hashed = await passwords.hash(wanted.password);
    if (!hashed.ok) return fail(hashed.failure);
    const { username, email, role } = wanted;
    return accounts.insert({
      id: newUserId(),
      username,
      email,
      passwordHash: hashed.value,
      role,
      createdAt: new Date(),
    });
  };

  return [
    route({
      method: 'POST',
      path: '/api/users',
      operationId: 'register',
      summary: 'Make an account',
      auth: 'none',
      body: registerBody,
      replies: { 201: { description: 'The account; `Location` is its address.', schema: userReply } },
      errors: ['email_taken', 'username_taken'],
      handler: async ({ body }) => {
        const created = await create({ ...body, role: 'fan' });
        if (!created.ok) return problem(created.failure);
        return json(201, accountView(created.value), { location: `/api/users/${created.value.id}` });
      },
    }),
    route({
      method: 'GET',
      path: '/api/users/:userId',
      operationId: 'readUser',
      summary: 'An account: one’s own, or any for an admin',
      auth: 'user',
      params: userIdParams,
      replies: { 200: { description: 'The account', schema: userReply } },
      errors: ['forbidden', 'not_found'],
      handler: async ({ params, identity }) => {
        if (identity === null) return problem('unauthenticated');
        if (!mayRead(identity, params.userId)) return problem('forbidden');
        const account = await accounts.byId(params.userId);
        return account === null ? problem('not_found') : json(200, accountView(account));
      },
    }),
    route({
      method: 'POST',
      path: '/internal/users',
      operationId: 'ensureUser',
      summary: 'Make an account with a role, or give the role to the account that the email already has',
      auth: 'service',
      body: internalUserBody,
      replies: {
        200: { description: 'The account that was there; its password stays.', schema: internalUserReply },
        201: { description: 'A new account', schema: internalUserReply },
      },
      errors: ['username_taken'],
      handler: async ({ body }) => {
        const ensured = await ensureRole(accounts, body.email, body.role);
        if (ensured !== null) return json(200, internalView(ensured));
        const created = await create(body);
        if (created.ok) return json(201, internalView(created.value), { location: `/api/users/${created.value.id}` });
        // Somebody made it meanwhile; then the clash may be named after either key.
        const other = created.failure === 'overloaded' ? null : await ensureRole(accounts, body.email, body.role);
        return other === null ? problem(created.failure) : json(200, internalView(other));
      },
    }),
  ];
}

const internalView = (account: Account) => ({ ...accountView(account), role: account.role });

/** @returns the account of this email, which now has this role; null when there is none. */
async function ensureRole(accounts: AccountRepo, email: string, role: Role): Promise<Account | null> {
  const account = await accounts.byEmail(email);
  if (account === null) return null;
  if (account.role !== role) await accounts.setRole(account.id, role);
  return { ...account, role };
}
