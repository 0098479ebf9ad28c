import { commonEnv, envTypes } from '@frontrow/shared/env.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';
import { guards } from './engine/scripts.ts';

const stores = {
  REDIS_URL: envTypes.url('redis', 'rediss'),
  QUEUE_REDIS_URL: envTypes.url('redis', 'rediss'),
  DIRECTORY_MYSQL_URL: envTypes.url('mysql'),
  BOOKING_SHARD_URLS: envTypes.mysqlUrls,
  BUCKET_SHARDS: envTypes.bucketShards.optional(),
};

/** Each tactic can be switched off, to see what it is worth. */
const tactics = {
  TACTIC_BATCHING: envTypes.flag.default(true),
  TACTIC_EARLY_REFUSAL: envTypes.flag.default(true),
  TACTIC_MAP_MEMORY: envTypes.flag.default(true),
  TACTIC_DELTA_COALESCING: envTypes.flag.default(true),
  TACTIC_TOKEN_MEMORY: envTypes.flag.default(true),
};

export const apiEnv = z
  .object({
    ...commonEnv,
    ...stores,
    ...tactics,
    PORT: envTypes.port,
    JWKS_FILE: z.string(),
    HOLD_ID_SECRET: envTypes.secret,
    HOLDS_WAITING_MAX: z.coerce.number().int().min(0).max(limits.batchWaitingMax).default(limits.batchWaitingMax),
    UNSAFE_WITHOUT_GUARDS: z
      .string()
      .transform((text) => text.split(','))
      .pipe(z.array(z.enum(guards)))
      .optional(),
  })
  .refine((env) => env.UNSAFE_WITHOUT_GUARDS === undefined || env.NODE_ENV === 'test', {
    path: ['UNSAFE_WITHOUT_GUARDS'],
    message: 'takes guards against double sales out: only with NODE_ENV=test',
  });

const roles = ['relay', 'persist', 'sweep', 'recovery'] as const;

export const workerEnv = z.object({
  ...commonEnv,
  ...stores,
  WORKER_ROLES: z
    .string()
    .default(roles.join())
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(roles)).min(1)),
  PERSIST_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(4),
});
