import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { jwksReply } from '@frontrow/shared/contracts/user.ts';
import type { z } from 'zod';

export interface SigningKey {
  privateKey: KeyObject;
  /** The `kid` under which the others find its public half. */
  keyId: string;
  jwks: z.infer<typeof jwksReply>;
}

/** @throws when the key is no ES256 key, or when the JWK set lacks it: then no other service could verify a token. */
export function readSigningKey(privateKeyFile: string, jwksFile: string): SigningKey {
  const privateKey = createPrivateKey(readFileSync(privateKeyFile));
  const jwks = jwksReply.parse(JSON.parse(readFileSync(jwksFile, 'utf8')));
  const { crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (crv !== 'P-256') throw new Error(`${privateKeyFile} is no ES256 key (curve P-256).`);
  const own = jwks.keys.find((key) => key.x === x && key.y === y);
  if (own === undefined) throw new Error(`${jwksFile} does not have the public key of ${privateKeyFile}.`);
  return { privateKey, keyId: own.kid, jwks };
}
