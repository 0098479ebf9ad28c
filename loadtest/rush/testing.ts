import { readFileSync } from 'node:fs';
import { UserError } from '../../scripts/cli.ts';
import { type Stack, startStack } from '../../scripts/stack/stack.ts';
import { findK6 } from '../k6-binary.ts';
import type { Target } from '../target.ts';

/** A whole system for a rush in a test, with a k6; or why there is no k6, for a test to be skipped with that reason. */
export async function startRushStack(): Promise<{ stack: Stack; k6: string } | { whyNot: string }> {
  const k6 = await findK6(console.log).catch((error: unknown) => {
    if (error instanceof UserError) return { whyNot: error.message };
    throw error;
  });
  if ('whyNot' in k6) return k6;
  return { stack: await startStack({ seed: true }), k6: k6.path };
}

export const targetOf = ({ addresses, databases, secrets, concerts, settings }: Stack): Target => ({
  addresses,
  sources: {
    redisUrl: databases.redis.seats,
    shardUrls: databases.mysql.shards,
    sandboxUrl: addresses.sandbox,
    sandboxApiKey: secrets.values.sandboxApiKey,
  },
  serviceToken: secrets.values.serviceToken,
  jwtPrivateKeyFile: secrets.jwtPrivateKeyFile,
  concerts,
  dataDir: settings.dataDir,
});

/** The entries of a process' log; what is not JSON is left out. */
export function logLines(file: string): Record<string, unknown>[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
