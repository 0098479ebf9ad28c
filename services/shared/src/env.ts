import { z } from 'zod';

/**
 * Parses a service's environment once. Every fault is named at once, with the variable's name, and ends the start.
 * @returns the parsed, typed settings.
 */
export function parseEnv<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv = process.env): z.infer<T> {
  // An empty variable means "not set", as in a .env file with a bare `NAME=`.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => {
    const name = path.join('.');
    return `  ${name || '(environment)'}: ${name !== '' && given[name] === undefined ? 'is not set' : message}`;
  });
  throw new EnvError(
    `The environment is not valid:\n${faults.join('\n')}\nSee .env.example for what each variable means.`,
  );
}

export class EnvError extends Error {
  override readonly name = 'EnvError';
}

const port = z.coerce.number().int().min(1).max(65_535);

/** Pieces that the services' schemas are made of. */
export const envTypes = {
  port,
  secret: z.string().min(32, 'at least 32 characters'),
  url: (...protocols: string[]) =>
    z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol.slice(0, -1)), {
      message: `a URL that starts with ${protocols.map((name) => `${name}://`).join(' or ')}`,
    }),
  mysqlUrls: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine(
      (urls) => urls.every((url) => URL.canParse(url) && new URL(url).protocol === 'mysql:'),
      'mysql:// URLs, separated by commas',
    ),
  flag: z.enum(['on', 'off']).transform((value) => value === 'on'),
  /** 256 shard numbers, one a bucket; given as JSON. */
  bucketShards: z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'a JSON array of 256 shard numbers' });
        return z.NEVER;
      }
    })
    .pipe(z.array(z.number().int().min(0)).length(256)),
};

/** What every process reads. */
export const commonEnv = {
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
  HOST: z.string().default('127.0.0.1'),
  OPS_PORT: port,
  PROCESS_NAME: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/, 'lower-case letters, digits and dashes')
    .optional(),
  SERVICE_TOKEN_SECRET: envTypes.secret,
};
