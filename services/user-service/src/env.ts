import { commonEnv, envTypes } from '@frontrow/shared/env.ts';
import { z } from 'zod';

export const envSchema = z.object({
  ...commonEnv,
  PORT: envTypes.port,
  USERS_MYSQL_URL: envTypes.url('mysql'),
  /** PEM, PKCS8, ES256: only this service signs access tokens. */
  JWT_PRIVATE_KEY_FILE: z.string(),
  /** Public keys as a JWK set; the private key's is one of them. */
  JWKS_FILE: z.string(),
  BCRYPT_COST: z.coerce.number().int().min(4).max(15).default(10),
});
