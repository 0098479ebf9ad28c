import { commonEnv, envTypes } from '@frontrow/shared/env.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';

const storeEnv = {
  ...commonEnv,
  QUEUE_REDIS_URL: envTypes.url('redis', 'rediss'),
  PAYMENT_SHARD_URLS: envTypes.mysqlUrls,
  BUCKET_SHARDS: envTypes.bucketShards.optional(),
  BOOKING_INTERNAL_URL: envTypes.url('http', 'https'),
  SANDBOX_URL: envTypes.url('http', 'https'),
  SANDBOX_API_KEY: envTypes.secret,
  SANDBOX_WEBHOOK_SECRET: envTypes.secret,
  PROVIDER_TIMEOUT_MS: z.coerce.number().int().min(100).max(limits.providerTimeoutMsMax).default(10_000),
};

export const mainEnv = z.object({
  ...storeEnv,
  PORT: envTypes.port,
  JWKS_FILE: z.string().min(1),
  HOLD_ID_SECRET: envTypes.secret,
});

export const workerEnv = z.object({
  ...storeEnv,
  /** Payments that this worker drives at once. */
  PAYMENT_DRIVES: z.coerce.number().int().min(1).max(1_000).default(limits.paymentDrivesMax),
});
