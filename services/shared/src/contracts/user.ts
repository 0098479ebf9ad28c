import { z } from 'zod';
import { limits } from '../limits.ts';
import { timeSchema, userIdSchema } from './common.ts';

export const roleSchema = z.enum(['fan', 'organiser', 'admin']);
export type Role = z.infer<typeof roleSchema>;

const passwordSchema = z
  .string()
  .min(limits.passwordBytesMin, `at least ${limits.passwordBytesMin} characters`)
  .refine((text) => Buffer.byteLength(text) <= limits.passwordBytesMax, `at most ${limits.passwordBytesMax} bytes`);

export const registerBody = z.strictObject({
  username: z.string().regex(/^[A-Za-z0-9_.-]{3,32}$/, '3 to 32 letters, digits, dots, dashes or underscores'),
  email: z
    .email()
    .max(254)
    .transform((text) => text.toLowerCase()),
  password: passwordSchema,
});
/** Log-in takes any string as a password: a wrong one gets `invalid_credentials`, not a hint about its form. */
export const loginBody = z.strictObject({ email: z.string().min(1).max(254), password: z.string().min(1).max(1_000) });
export const userReply = z.strictObject({
  id: userIdSchema,
  username: z.string(),
  email: z.string(),
  createdAt: timeSchema,
});
export const sessionReply = z.strictObject({ accessToken: z.string(), expiresAt: timeSchema, user: userReply });
export const jwksReply = z.strictObject({
  keys: z.array(
    z.strictObject({
      kty: z.string(),
      crv: z.string(),
      x: z.string(),
      y: z.string(),
      kid: z.string(),
      alg: z.string(),
      use: z.string(),
    }),
  ),
});
/** Makes an account with a role, or gives the role to the account that the email already has. */
export const internalUserBody = registerBody.extend({ role: roleSchema });
export const internalUserReply = userReply.extend({ role: roleSchema });
export const userIdParams = z.strictObject({ userId: userIdSchema });
