import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenVerifier } from '@frontrow/shared/http/auth.ts';
import { isUuid } from '@frontrow/shared/ids.ts';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadSecrets, type Secrets } from './stack/secrets.ts';
import { mintTokens, virtualUserId } from './tokens.ts';

let folder = '';
let secrets: Secrets;
let privateKeyPem = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-tokens-'));
  secrets = loadSecrets(folder);
  privateKeyPem = readFileSync(secrets.jwtPrivateKeyFile, 'utf8');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the services accept a minted token as that of its fan, until it expires', () => {
  const now = vi.fn(Date.now);
  const verify = createTokenVerifier(secrets.jwksFile, { now });
  const [first = '', second = ''] = mintTokens({ privateKeyPem, count: 2, from: 5, ttlMs: 60_000 });
  expect(verify(first)).toMatchObject({ identity: { userId: virtualUserId(5), role: 'fan' } });
  expect(verify(second)).toMatchObject({ identity: { userId: virtualUserId(6) } });
  now.mockReturnValue(Date.now() + 61_000);
  expect(verify(first)).toEqual({ failure: 'token_expired' });
});

test('a token of another stack is refused', () => {
  const other = mkdtempSync(join(tmpdir(), 'frontrow-tokens-'));
  const foreignKey = readFileSync(loadSecrets(other).jwtPrivateKeyFile, 'utf8');
  rmSync(other, { recursive: true });
  const [token = ''] = mintTokens({ privateKeyPem: foreignKey, count: 1 });
  expect(createTokenVerifier(secrets.jwksFile)(token)).toEqual({ failure: 'unauthenticated' });
});

test('each number is one fan, always the same, formed as a UUIDv7', () => {
  const ids = Array.from({ length: 5_000 }, (_, index) => virtualUserId(index + 1));
  expect(new Set(ids).size).toBe(5_000);
  expect(ids.every((id) => isUuid(id) && id[14] === '7')).toBe(true);
  expect(virtualUserId(1)).toBe(virtualUserId(1));
  expect(virtualUserId(1, 'admin')).not.toBe(virtualUserId(1));
});

test('secrets are generated once, and only their owner can read them', () => {
  expect(loadSecrets(folder).values).toEqual(secrets.values);
  expect(new Set(Object.values(secrets.values)).size).toBe(Object.keys(secrets.values).length);
  for (const file of [secrets.file, secrets.jwtPrivateKeyFile]) expect(statSync(file).mode & 0o077).toBe(0);
});
