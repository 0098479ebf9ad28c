import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { jwksReply, type Role, roleSchema } from '../contracts/user.ts';
import { isUuid } from '../ids.ts';
import { limits } from '../limits.ts';

export interface Identity {
  userId: string;
  role: Role;
}

export const tokenIssuer = 'frontrow';
export const tokenAudience = 'frontrow-api';
const tokenType = 'at+jwt';
const serviceAudience = 'frontrow-internal';
const serviceTokenType = 'svc+jwt';
const serviceTokenTtlSeconds = 60;

type Verdict = { identity: Identity } | { failure: 'unauthenticated' | 'token_expired' };
export type TokenVerifier = (token: string) => Verdict;

const claimsSchema = z.object({ sub: z.string().refine(isUuid), role: roleSchema, exp: z.number() });

/**
 * Verifies access tokens (ES256 only; issuer, audience and type pinned) and remembers those it verified until they expire,
 * because a signature check costs about a thousand look-ups. The memory is bounded: the oldest leaves first.
 * @param options.remember false switches the memory off, for comparison.
 */
export function createTokenVerifier(
  jwksFile: string,
  options: { remember?: boolean; now?: () => number } = {},
): TokenVerifier {
  const keys = readPublicKeys(jwksFile);
  const now = options.now ?? Date.now;
  const verified = new Map<string, { identity: Identity; expiresAtMs: number }>();
  return (token) => {
    const known = verified.get(token);
    if (known !== undefined) {
      if (known.expiresAtMs > now()) return known;
      verified.delete(token);
      return { failure: 'token_expired' };
    }
    const checked = checkAccessToken(token, keys);
    if ('failure' in checked) return checked;
    if (options.remember !== false) {
      if (verified.size >= limits.verifiedTokensMax) verified.delete(verified.keys().next().value ?? '');
      verified.set(token, checked);
    }
    return checked;
  };
}

function checkAccessToken(
  token: string,
  keys: Map<string, KeyObject>,
): { identity: Identity; expiresAtMs: number } | { failure: 'unauthenticated' | 'token_expired' } {
  try {
    const header = jwt.decode(token, { complete: true })?.header;
    const key = keys.get(header?.kid ?? '');
    if (header?.typ !== tokenType || key === undefined) return { failure: 'unauthenticated' };
    const claims = claimsSchema.parse(
      jwt.verify(token, key, { algorithms: ['ES256'], issuer: tokenIssuer, audience: tokenAudience }),
    );
    return { identity: { userId: claims.sub, role: claims.role }, expiresAtMs: claims.exp * 1_000 };
  } catch (error) {
    return { failure: error instanceof jwt.TokenExpiredError ? 'token_expired' : 'unauthenticated' };
  }
}

/** @returns an access token of `ttlSeconds` for this identity. */
export function signAccessToken(privateKey: KeyObject, keyId: string, identity: Identity, ttlSeconds: number): string {
  return jwt.sign({ role: identity.role }, privateKey, {
    algorithm: 'ES256',
    header: { alg: 'ES256', typ: tokenType, kid: keyId },
    issuer: tokenIssuer,
    audience: tokenAudience,
    subject: identity.userId,
    expiresIn: ttlSeconds,
  });
}

/** A short-lived token with which one service calls another's /internal routes. */
export function signServiceToken(secret: string, service: string): string {
  return jwt.sign({}, secretKey(secret), {
    algorithm: 'HS256',
    header: { alg: 'HS256', typ: serviceTokenType },
    issuer: service,
    audience: serviceAudience,
    expiresIn: serviceTokenTtlSeconds,
  });
}

/** @returns the calling service's name, or null when the token is not a valid service token. */
export function verifyServiceToken(secret: string, token: string): string | null {
  try {
    const { header, payload } = jwt.verify(token, secretKey(secret), {
      algorithms: ['HS256'],
      audience: serviceAudience,
      complete: true,
    });
    return header.typ === serviceTokenType && typeof payload === 'object' ? (payload.iss ?? null) : null;
  } catch {
    return null;
  }
}

/** The token of an `Authorization` header; empty when there is none. The scheme's case does not matter (RFC 9110, 11.1). */
export const bearerToken = (authorization: string): string =>
  /^bearer /i.test(authorization) ? authorization.slice(7).trim() : '';

const secretKeys = new Map<string, KeyObject>();

/** Given as text, the library would first try to read it as a key in PEM, and fail, on each call: most of a call's cost. */
function secretKey(secret: string): KeyObject {
  const known = secretKeys.get(secret);
  if (known !== undefined) return known;
  const key = createSecretKey(Buffer.from(secret));
  secretKeys.set(secret, key);
  return key;
}

function readPublicKeys(file: string): Map<string, KeyObject> {
  const { keys } = jwksReply.parse(JSON.parse(readFileSync(file, 'utf8')));
  return new Map(keys.map((key) => [key.kid, createPublicKey({ key, format: 'jwk' })]));
}
