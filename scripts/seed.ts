import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConcertReply, venueReply } from '@frontrow/shared/contracts/internal.ts';
import {
  type SeedConcerts,
  type SeedUsers,
  seedConcertsSchema,
  seedUsersSchema,
} from '@frontrow/shared/contracts/seed.ts';
import { createInternalClient } from '@frontrow/shared/internal-client.ts';
import { z } from 'zod';
import { sellSeats } from './seed-sales.ts';
import { projectRoot, readJson, writePrivateJson } from './stack/files.ts';
import type { Addresses } from './stack/processes.ts';
import type { Secrets } from './stack/secrets.ts';

export interface SeedOptions {
  addresses: Addresses;
  secrets: Secrets;
  dataDir: string;
  say: (line: string) => void;
  signal?: AbortSignal;
}

const seedRecord = z.object({
  /** Times of the seed count from here, also when a newer seed is laid over it. */
  firstStartAt: z.string(),
  /** Of the files that were laid in last; empty as long as that is not finished. */
  filesHash: z.string(),
  /** Concert ids by the seed's key. */
  concerts: z.record(z.string(), z.number().int()),
});
type SeedRecord = z.infer<typeof seedRecord>;

/** A stadium's 50,000 seats are one call. */
const callTimeoutMs = 60_000;

/**
 * Lays in the demo venues, concerts and users through the services' internal calls, and sells what is sold at the start
 * over the public API. Done once for a data folder, and again only when the seed's files have changed; each step is safe to
 * repeat, so a start that was broken off is finished by the next.
 * @returns concert ids by the seed's key.
 */
export async function seed(options: SeedOptions): Promise<Readonly<Record<string, number>>> {
  const { addresses, secrets, dataDir, say, signal } = options;
  const files = readSeedFiles();
  const record = readSeedRecord(dataDir);
  if (record.filesHash === files.hash) return record.concerts;

  const { concerts, users } = files;
  const keys = Object.fromEntries(concerts.concerts.map(({ key, id }) => [key, id]));
  writeSeedRecord(dataDir, { ...record, filesHash: '', concerts: keys });
  const booking = createInternalClient(addresses.booking, secrets.values.serviceToken, 'seed', callTimeoutMs);
  const user = createInternalClient(addresses.user, secrets.values.serviceToken, 'seed', callTimeoutMs);

  say(
    `Seeding ${concerts.venues.length} venues, ${concerts.concerts.length} concerts and ${users.users.length} accounts ...`,
  );
  for (const account of users.users) await user('POST', '/internal/users', account, z.unknown());
  for (const venue of concerts.venues) {
    signal?.throwIfAborted();
    await booking('PUT', `/internal/venues/${venue.id}`, venueFile(venue), venueReply);
  }
  const at = (minutes: number) => new Date(Date.parse(record.firstStartAt) + minutes * 60_000).toISOString();
  for (const concert of concerts.concerts) {
    signal?.throwIfAborted();
    const { key: _, venue, startsInMinutes, opensInMinutes, closesInMinutes, sellTo: __, ...same } = concert;
    const times = { startsAt: at(startsInMinutes), opensAt: at(opensInMinutes), closesAt: at(closesInMinutes) };
    await booking('POST', '/internal/concerts', { ...same, ...times, venueId: venue }, createConcertReply);
  }
  for (const { id, name, sellTo, seatsPerUserMax } of concerts.concerts) {
    if (sellTo === 0) continue;
    say(`Selling ${Math.round(sellTo * 100)}% of "${name}" ...`);
    const privateKeyPem = readFileSync(secrets.jwtPrivateKeyFile, 'utf8');
    await sellSeats({ addresses, privateKeyPem, concertId: id, part: sellTo, seatsPerFan: seatsPerUserMax, signal });
  }
  writeSeedRecord(dataDir, { ...record, filesHash: files.hash, concerts: keys });
  return keys;
}

/** The accounts of the seed, with their (public) passwords. */
export function demoAccounts(): SeedUsers['users'] {
  return readSeedFiles().users.users;
}

/** What was laid into a data folder; without concerts when nothing was. */
export function readSeedRecord(dataDir: string): SeedRecord {
  const parsed = seedRecord.safeParse(readJson(recordFile(dataDir)));
  return parsed.success ? parsed.data : { firstStartAt: new Date().toISOString(), filesHash: '', concerts: {} };
}

function writeSeedRecord(dataDir: string, record: SeedRecord): void {
  writePrivateJson(recordFile(dataDir), record);
}

function recordFile(dataDir: string): string {
  return join(dataDir, 'seed.json');
}

function readSeedFiles(): { concerts: SeedConcerts; users: SeedUsers; hash: string } {
  const texts = ['db/seed/concerts.json', 'db/seed/users.json'].map((path) =>
    readFileSync(join(projectRoot, path), 'utf8'),
  );
  const concerts = seedConcertsSchema.parse(JSON.parse(texts[0] ?? ''));
  const users = seedUsersSchema.parse(JSON.parse(texts[1] ?? ''));
  const venues = concerts.venues.map((venue) => JSON.stringify(venueFile(venue)));
  return {
    concerts,
    users,
    hash: createHash('sha256')
      .update([...texts, ...venues].join('\0'))
      .digest('hex'),
  };
}

/** A venue's file under the seed's own id, name and city. The service validates it. */
function venueFile({ file, ...changes }: SeedConcerts['venues'][number]): object {
  const venue: unknown = JSON.parse(readFileSync(join(projectRoot, 'db/venues', `${file}.json`), 'utf8'));
  return { ...Object(venue), ...changes };
}
