import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writePrivateFile, writePrivateJson } from './files.ts';

const secretNames = [
  'redisPassword',
  'mysqlRootPassword',
  'mysqlUserPassword',
  'mysqlBookingPassword',
  'mysqlPaymentPassword',
  'serviceToken',
  'holdId',
  'sandboxApiKey',
  'sandboxWebhook',
] as const;
type SecretName = (typeof secretNames)[number];

const savedSecrets = z.partialRecord(z.enum(secretNames), z.string().min(32));

/** Generated once for a data folder and kept there, readable by its owner only. */
export interface Secrets {
  values: Readonly<Record<SecretName, string>>;
  /** Where `values` stand. */
  file: string;
  /** ES256 key that signs access tokens: PEM, PKCS8. */
  jwtPrivateKeyFile: string;
  /** The public half, as a JWK set. */
  jwksFile: string;
}

/** Reads the secrets of a data folder; what is missing is generated. */
export function loadSecrets(dataDir: string): Secrets {
  mkdirSync(join(dataDir, 'keys'), { recursive: true, mode: 0o700 });
  const file = join(dataDir, 'secrets.json');
  const saved = savedSecrets.catch({}).parse(readJson(file) ?? {});
  const values = {} as Record<SecretName, string>;
  for (const name of secretNames) values[name] = saved[name] ?? randomBytes(32).toString('base64url');
  if (secretNames.some((name) => saved[name] === undefined)) writePrivateJson(file, values);

  const jwtPrivateKeyFile = join(dataDir, 'keys/jwt-private.pem');
  const jwksFile = join(dataDir, 'keys/jwks.json');
  if (!existsSync(jwtPrivateKeyFile) || !existsSync(jwksFile)) {
    const pem = existsSync(jwtPrivateKeyFile) ? readFileSync(jwtPrivateKeyFile, 'utf8') : newPrivateKey();
    writePrivateFile(jwtPrivateKeyFile, pem);
    writePrivateJson(jwksFile, { keys: [publicJwk(pem)] });
  }
  return { values, file, jwtPrivateKeyFile, jwksFile };
}

/** The public half of a private ES256 key, with its RFC 7638 thumbprint as `kid`. */
export function publicJwk(privateKeyPem: string) {
  const { crv, kty, x, y } = createPublicKey(createPrivateKey(privateKeyPem)).export({ format: 'jwk' });
  // The members in this order and without spaces: that is what RFC 7638 hashes.
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' };
}

function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
