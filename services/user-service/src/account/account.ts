import type { Role } from '@frontrow/shared/contracts/user.ts';
import type { Identity } from '@frontrow/shared/http/auth.ts';
import type { UserId } from '@frontrow/shared/ids.ts';

/** A person who can log in. */
export interface Account {
  id: UserId;
  username: string;
  /** Lower case. */
  email: string;
  passwordHash: string;
  role: Role;
  createdAt: Date;
}

/** What its owner may see of an account. */
export const accountView = ({ id, username, email, createdAt }: Account) => ({
  id,
  username,
  email,
  createdAt: createdAt.toISOString(),
});

/** Decided without a look at the database, so that the answer does not tell whether the other account exists. */
export const mayRead = (identity: Identity, id: UserId): boolean => identity.role === 'admin' || identity.userId === id;
