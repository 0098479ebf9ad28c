import { createHash, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Role, roleSchema } from '@frontrow/shared/contracts/user.ts';
import { signAccessToken } from '@frontrow/shared/http/auth.ts';
import { formatUuid } from '@frontrow/shared/ids.ts';
import { commandLine, durationMs, isMain, runCommand, UserError, wholeNumber } from './cli.ts';
import { readLivingRecord } from './stack/lock.ts';
import { publicJwk } from './stack/secrets.ts';
import { loadSettings } from './stack/settings.ts';

const usage = `Usage: npm run --silent tokens -- [options]

Prints access tokens of virtual fans, one a line. Fan number 7 is the same fan every time. Virtual fans have no account
and no password: minting 5,000 tokens takes a second, hashing 5,000 passwords would take minutes.

  --count N     how many (default 1)
  --from N      number of the first fan (default 1)
  --role ROLE   fan, organiser or admin (default fan)
  --ttl TIME    how long they are valid, such as 90s, 15m or 2h (default 2h)
  --help        this text

Only outside production, and only on the machine whose data folder holds the key.`;

const countMax = 1_000_000;
const ttlMsMax = 24 * 3_600_000;

export interface MintOptions {
  /** PEM of the stack's private key. */
  privateKeyPem: string;
  count: number;
  /** Number of the first fan; 1 by default. */
  from?: number;
  role?: Role;
  ttlMs?: number;
}

/** Access tokens of virtual fans, in the order of their numbers. */
export function mintTokens({
  privateKeyPem,
  count,
  from = 1,
  role = 'fan',
  ttlMs = 2 * 3_600_000,
}: MintOptions): string[] {
  const key = createPrivateKey(privateKeyPem);
  const { kid } = publicJwk(privateKeyPem);
  const ttlSeconds = Math.max(1, Math.round(ttlMs / 1_000));
  return Array.from({ length: count }, (_, index) =>
    signAccessToken(key, kid, { userId: virtualUserId(from + index, role), role }, ttlSeconds),
  );
}

/** The id of a virtual fan: formed as a UUIDv7 is, always the same for the same number and role, and unlike any real one. */
export function virtualUserId(number: number, role: Role = 'fan'): string {
  const bytes = createHash('sha256').update(`frontrow virtual ${role} ${number}`).digest().subarray(0, 16);
  // The first six bytes are the time of a UUIDv7: one in 2001, before there were any.
  bytes.writeUIntBE(1_000_000_000_000, 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  return formatUuid(bytes);
}

function main(): void {
  const options = commandLine(usage, {
    count: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    role: { type: 'string', default: 'fan' },
    ttl: { type: 'string', default: '2h' },
  });
  const settings = loadSettings();
  const runsAs = readLivingRecord(settings.dataDir)?.nodeEnv ?? settings.nodeEnv;
  if (settings.nodeEnv === 'production' || runsAs === 'production') {
    throw new UserError(
      'Tokens are not minted in production: they would open any account. Log in at POST /api/sessions.',
    );
  }
  const role = roleSchema.safeParse(options.role);
  if (!role.success) throw new UserError(`--role takes ${roleSchema.options.join(', ')}, not "${options.role}".`);
  const count = wholeNumber('count', options.count, 1, countMax);
  const from = wholeNumber('from', options.from, 1, 1_000_000_000);
  const ttlMs = durationMs('ttl', options.ttl);
  if (ttlMs < 1_000 || ttlMs > ttlMsMax) throw new UserError('--ttl takes 1s to 24h.');

  const keyFile = join(settings.dataDir, 'keys/jwt-private.pem');
  if (!existsSync(keyFile)) throw new UserError(`There is no key in ${keyFile} yet. Start the system once: npm start`);
  const tokens = mintTokens({ privateKeyPem: readFileSync(keyFile, 'utf8'), count, from, role: role.data, ttlMs });
  process.stdout.write(`${tokens.join('\n')}\n`);
}

if (isMain(import.meta.url)) await runCommand(main);
