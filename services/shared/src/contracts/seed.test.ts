import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { seedConcertsSchema, seedUsersSchema } from './seed.ts';
import { validateVenue } from './venue.ts';

const file = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../db/${path}`, import.meta.url), 'utf8'));

const seed = seedConcertsSchema.parse(file('seed/concerts.json'));
const users = seedUsersSchema.parse(file('seed/users.json')).users;

describe('the seeded concerts', () => {
  test('stand in venues that are valid', () => {
    for (const { file: name } of seed.venues) expect(validateVenue(file(`venues/${name}.json`)).ok).toBe(true);
  });

  test('show every state that a sale can be in', () => {
    const now = 0;
    const onSale = seed.concerts.filter(
      ({ opensInMinutes, closesInMinutes, saleOverride }) =>
        opensInMinutes <= now && closesInMinutes > now && saleOverride === 'none',
    );
    const onSaleFiles = onSale.map(({ venue }) => seed.venues.find(({ id }) => id === venue)?.file);
    expect(new Set(onSaleFiles)).toEqual(new Set(['theatre', 'club', 'arena', 'stadium']));
    expect(seed.concerts.some(({ opensInMinutes }) => opensInMinutes === 2)).toBe(true);
    expect(seed.concerts.some(({ startsInMinutes }) => startsInMinutes < now)).toBe(true);
    expect(seed.concerts.some(({ saleOverride }) => saleOverride === 'paused')).toBe(true);
    expect(onSale.some(({ sellTo }) => sellTo === 0.96)).toBe(true);
  });
});

describe('the seed schema names', () => {
  const [first] = seed.concerts;
  test.each([
    ['a venue that is not there', { ...first, venue: 'nowhere' }, 'concerts.0.venue'],
    ['a sale that closes before it opens', { ...first, closesInMinutes: -100_000 }, 'concerts.0.closesInMinutes'],
    ['an unknown key', { ...first, sold: 1 }, 'concerts.0'],
  ])('%s', (_name, concert, path) => {
    const result = seedConcertsSchema.safeParse({ ...seed, concerts: [concert] });
    expect(result.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });

  test('a key or an id that is taken', () => {
    const result = seedConcertsSchema.safeParse({ ...seed, concerts: [first, first] });
    expect(result.error?.issues.map((issue) => issue.message)).toEqual([
      'two concerts have the same key',
      'two concerts have the same id',
    ]);
  });
});

test('the demo accounts have every role, and no two share a name or an address', () => {
  expect(new Set(users.map(({ role }) => role))).toEqual(new Set(['fan', 'organiser', 'admin']));
  expect(new Set(users.map(({ email }) => email)).size).toBe(users.length);
  expect(new Set(users.map(({ username }) => username)).size).toBe(users.length);
});
