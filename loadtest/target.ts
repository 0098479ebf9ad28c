import { UserError } from '../scripts/cli.ts';
import { loadSettings } from '../scripts/stack/settings.ts';
import { stackStatus } from '../scripts/stack/status.ts';
import type { AuditSources } from './audit/load.ts';

/** A running stack, as the rush and the audit need it: what `npm run status -- --json` says. */
export interface Target {
  addresses: { origin: string; booking: string; payment: string };
  sources: AuditSources;
  /** Signs internal calls. */
  serviceToken: string;
  /** Mints the virtual fans' tokens. */
  jwtPrivateKeyFile: string;
  /** Concert ids by the seed's key. */
  concerts: Readonly<Record<string, number>>;
  /** Of the stack; client logs and k6 stand below it. */
  dataDir: string;
}

/** @throws UserError when no stack runs with this data folder (by default, that of the settings). */
export async function runningTarget(dataDir: string = loadSettings().dataDir): Promise<Target> {
  const status = await stackStatus(dataDir);
  if (!status)
    throw new UserError(`Nothing runs with the data folder ${dataDir}. Start it in another terminal: npm start`);
  const { addresses, redis, mysql, sandbox, secrets, nodeEnv, state } = status;
  if (state !== 'running' || !addresses || !redis || !mysql)
    throw new UserError(`The stack is ${state}: wait until it is ready.`);
  if (nodeEnv === 'production')
    throw new UserError('This stack runs as production: nothing is reset and no token is minted there.');
  return {
    addresses,
    sources: {
      redisUrl: redis.seats,
      shardUrls: mysql.shards,
      sandboxUrl: addresses.sandbox,
      sandboxApiKey: sandbox.apiKey,
    },
    serviceToken: secrets.serviceToken,
    jwtPrivateKeyFile: secrets.jwtPrivateKeyFile,
    concerts: status.concerts,
    dataDir,
  };
}

/** A concert by the seed's key or by its number. @throws UserError for an unknown key. */
export function concertIdOf(concerts: Target['concerts'], name: string): number {
  if (/^[1-9]\d{0,9}$/.test(name)) return Number(name);
  const id = concerts[name];
  if (id !== undefined) return id;
  const known = Object.keys(concerts).join(', ') || 'none: this stack was not seeded';
  throw new UserError(`There is no concert "${name}". Give its number, or one of these: ${known}.`);
}
