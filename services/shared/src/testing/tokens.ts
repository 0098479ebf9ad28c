import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '../contracts/user.ts';
import { signAccessToken } from '../http/auth.ts';

export interface TestKeys {
  privateKey: KeyObject;
  keyId: string;
  privateKeyFile: string;
  jwksFile: string;
  /** An access token; already expired when `ttlSeconds` is negative. */
  token(userId: string, role?: Role, ttlSeconds?: number): string;
  remove(): void;
}

/** An ES256 key pair in a temporary directory, as the stack would generate it. */
export function makeTestKeys(keyId = 'test-key'): TestKeys {
  const folder = mkdtempSync(join(tmpdir(), 'frontrow-test-keys-'));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [privateKeyFile, jwksFile] = [join(folder, 'private.pem'), join(folder, 'jwks.json')];
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  writeFileSync(privateKeyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ kty, crv, x, y, kid: keyId, alg: 'ES256', use: 'sig' }] }));
  return {
    privateKey,
    keyId,
    privateKeyFile,
    jwksFile,
    token: (userId, role = 'fan', ttlSeconds = 900) => signAccessToken(privateKey, keyId, { userId, role }, ttlSeconds),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
