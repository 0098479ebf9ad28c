import { jwksReply, loginBody, sessionReply } from '@frontrow/shared/contracts/user.ts';
import { signAccessToken } from '@frontrow/shared/http/auth.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Result } from '@frontrow/shared/result.ts';
import type { SigningKey } from './signing-key.ts';

/** Someone who may log in, as account/ knows them. */
interface Person {
  id: string;
  role: Parameters<typeof signAccessToken>[2]['role'];
  passwordHash: string;
}

interface Dependencies<P extends Person> {
  findPerson: (email: string) => Promise<P | null>;
  viewOf: (person: P) => object;
  passwordMatches: (password: string, hash: string | null) => Promise<Result<boolean, 'overloaded'>>;
  signingKey: SigningKey;
}

export function sessionRoutes<P extends Person>(dependencies: Dependencies<P>): Route[] {
  const { findPerson, viewOf, passwordMatches, signingKey } = dependencies;
  return [
    route({
      method: 'POST',
      path: '/api/sessions',
      operationId: 'logIn',
      summary: 'Log in',
      auth: 'none',
      body: loginBody,
      replies: { 201: { description: 'An access token for `Authorization: Bearer …`', schema: sessionReply } },
      errors: ['invalid_credentials'],
      handler: async ({ body }) => {
        const person = await findPerson(body.email);
        const matches = await passwordMatches(body.password, person?.passwordHash ?? null);
        if (!matches.ok) return problem(matches.failure);
        if (person === null || !matches.value) return problem('invalid_credentials');
        const session = { ...startSession(signingKey, person), user: viewOf(person) };
        return json(201, session, { 'cache-control': 'no-store' });
      },
    }),
    route({
      method: 'GET',
      path: '/.well-known/jwks.json',
      operationId: 'jwks',
      summary: 'Public keys of access tokens (RFC 7517)',
      auth: 'none',
      replies: { 200: { description: 'A JWK set', schema: jwksReply } },
      errors: [],
      handler: () => json(200, signingKey.jwks, { 'cache-control': 'public, max-age=300' }),
    }),
  ];
}

function startSession({ privateKey, keyId }: SigningKey, { id, role }: Person) {
  const ttlSeconds = limits.accessTokenTtlSeconds;
  // Tokens count whole seconds. Taken before the signature, so the token lives at least until then.
  const expiresAtSeconds = Math.floor(Date.now() / 1_000) + ttlSeconds;
  return {
    accessToken: signAccessToken(privateKey, keyId, { userId: id, role }, ttlSeconds),
    expiresAt: new Date(expiresAtSeconds * 1_000).toISOString(),
  };
}
