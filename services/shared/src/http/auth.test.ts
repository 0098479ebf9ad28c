import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUserId } from '../ids.ts';
import type { ApiClient } from '../testing/api-client.ts';
import { makeTestKeys } from '../testing/tokens.ts';
import { toyServiceSecret as secret, startToyServer, type ToyServer } from '../testing/toy-server.ts';
import { createTokenVerifier, signAccessToken, signServiceToken } from './auth.ts';

const keys = makeTestKeys();
const userId = newUserId();
let toy: ToyServer;
let api: ApiClient;

beforeAll(async () => {
  toy = await startToyServer(keys);
  api = toy.api;
});

afterAll(async () => {
  await toy?.server.drain(1_000);
  keys.remove();
});

const problemOf = (code: string) =>
  expect.objectContaining({ code, requestId: expect.stringMatching(/^[\w.-]{8,64}$/) });

describe('tokens', () => {
  const path = `/things/${userId}`;
  const claims = {
    sub: userId,
    role: 'admin',
    iss: 'frontrow',
    aud: 'frontrow-api',
    exp: Math.floor(Date.now() / 1000) + 60,
  };
  const header = { alg: 'ES256', typ: 'at+jwt', kid: keys.keyId } as const;
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sign = (changed: object, changedHeader: object = {}) =>
    // Through JSON, so that an undefined claim is absent.
    jwt.sign(JSON.parse(JSON.stringify({ ...claims, ...changed })), keys.privateKey, {
      algorithm: 'ES256',
      header: { ...header, ...changedHeader },
    });

  test('a valid one names the caller, again from memory, in any case of Bearer', async () => {
    const token = keys.token(userId);
    for (const scheme of ['Bearer', 'Bearer', 'bearer']) {
      const reply = await api.call('GET', path, { headers: { authorization: `${scheme} ${token}` } });
      expect(reply).toMatchObject({ status: 200, body: { userId } });
    }
  });

  test('the test signs as the real one does', async () => {
    expect((await api.call('GET', path, { token: sign({}) })).status).toBe(200);
  });

  const rival = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const publicPem = readFileSync(keys.jwksFile);
  test.each<[string, string]>([
    ['none at all', ''],
    ['rubbish', 'abc'],
    ['three dots', '..'],
    ['alg none', `${part({ ...header, alg: 'none' })}.${part(claims)}.`],
    ['alg none with a signature', `${part({ ...header, alg: 'none' })}.${part(claims)}.AAAA`],
    ['a rival key', signAccessToken(rival, keys.keyId, { userId, role: 'admin' }, 60)],
    ['an unknown kid', sign({}, { kid: 'other' })],
    ['a kid of the prototype', sign({}, { kid: '__proto__' })],
    [
      'HS256 with the public key',
      jwt.sign(claims, createSecretKey(publicPem), { header: { ...header, alg: 'HS256' } }),
    ],
    ['another type', sign({}, { typ: 'JWT' })],
    ['another issuer', sign({ iss: 'other' })],
    ['another audience', sign({ aud: 'frontrow-internal' })],
    ['no role', sign({ role: undefined })],
    ['an unknown role', sign({ role: 'root' })],
    ['a subject that is no user', sign({ sub: 'admin' })],
    ['no expiry', sign({ exp: undefined })],
    ['not yet valid', sign({ nbf: claims.exp })],
    ['a service token', signServiceToken(secret, 'payment-service')],
  ])('%s is refused', async (_, token) => {
    const reply = await api.call('GET', path, { token });
    expect(reply).toMatchObject({ status: 401, body: problemOf('unauthenticated') });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('a valid one with other claims under its signature is refused', async () => {
    const [head, , signature] = sign({}).split('.');
    const token = `${head}.${part({ ...claims, sub: newUserId() })}.${signature}`;
    expect((await api.call('GET', path, { token })).status).toBe(401);
  });

  test('an expired one says so', async () => {
    const reply = await api.call('GET', path, { token: keys.token(userId, 'fan', -10) });
    expect(reply).toMatchObject({ status: 401, body: problemOf('token_expired') });
  });

  test('one that was remembered still expires', () => {
    let nowMs = Date.now();
    const verify = createTokenVerifier(keys.jwksFile, { now: () => nowMs });
    const token = keys.token(userId, 'fan', 60);
    expect(verify(token)).toMatchObject({ identity: { userId } });
    nowMs += 61_000;
    expect(verify(token)).toEqual({ failure: 'token_expired' });
  });

  test('an optional token may be missing but not wrong', async () => {
    const body = { name: 'a', count: 1 };
    expect((await api.call('POST', '/echo', { body, token: keys.token(userId) })).body).toMatchObject({ userId });
    expect((await api.call('POST', '/echo', { body, token: 'x' })).status).toBe(401);
  });

  test('internal routes take service tokens and nothing else', async () => {
    const call = async (token: string) => (await api.call('POST', '/internal/thing', { token })).status;
    expect(await call(signServiceToken(secret, 'payment-service'))).toBe(200);
    expect(await call(signServiceToken('another-secret-of-32-characters-long', 'payment-service'))).toBe(401);
    expect(await call(keys.token(userId, 'admin'))).toBe(401);
    expect(
      await call(`${part({ alg: 'none', typ: 'svc+jwt' })}.${part({ iss: 'x', aud: 'frontrow-internal' })}.`),
    ).toBe(401);
    expect(await call('')).toBe(401);
  });
});
