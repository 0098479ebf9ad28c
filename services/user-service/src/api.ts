import { generateKeyPairSync } from 'node:crypto';
import { buildOpenApi } from '@frontrow/shared/http/openapi.ts';
import type { Route } from '@frontrow/shared/http/route.ts';
import type { AccountRepo } from './account/account.repo.ts';
import { accountRoutes } from './account/account.routes.ts';
import { accountView } from './account/account.ts';
import type { Passwords } from './account/password.ts';
import { sessionRoutes } from './session/session.routes.ts';
import type { SigningKey } from './session/signing-key.ts';

export interface Dependencies {
  accounts: AccountRepo;
  passwords: Passwords;
  signingKey: SigningKey;
}

export function userRoutes({ accounts, passwords, signingKey }: Dependencies): Route[] {
  return [
    ...accountRoutes({ accounts, passwords }),
    ...sessionRoutes({
      findPerson: accounts.byEmail,
      viewOf: accountView,
      passwordMatches: passwords.matches,
      signingKey,
    }),
  ];
}

/** OpenAPI of the service, made without a connection to anything. */
export function apiDocument() {
  const description = 'Accounts and log-in. Access tokens are JWTs (ES256) of 15 minutes, valid at every service.';
  return buildOpenApi('Frontrow user-service', description, userRoutes(withoutStore()));
}

/** The document needs the routes' declarations only: no handler runs. */
function withoutStore(): Dependencies {
  const unused = () => {
    throw new Error('This is for the document only.');
  };
  return {
    accounts: { insert: unused, byId: unused, byEmail: unused, setRole: unused },
    passwords: { hash: unused, matches: unused },
    signingKey: {
      privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      keyId: '',
      jwks: { keys: [] },
    },
  };
}
