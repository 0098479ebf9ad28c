import { commonEnv, envTypes } from '@frontrow/shared/env.ts';
import { z } from 'zod';

export const envSchema = z.object({
  ...commonEnv,
  PORT: envTypes.port,
  /** What a merchant sends as `Authorization: Bearer …`. */
  SANDBOX_API_KEY: envTypes.secret,
  SANDBOX_WEBHOOK_SECRET: envTypes.secret,
  SANDBOX_WEBHOOK_URL: envTypes.url('http', 'https'),
  /** JSON lines, append-only; made when it does not exist. */
  SANDBOX_LEDGER_FILE: z.string().default('.data/sandbox/ledger.jsonl'),
});
