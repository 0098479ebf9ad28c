import { concertListReply, layoutReply } from '@frontrow/shared/contracts/concert.ts';
import { validateVenue } from '@frontrow/shared/contracts/venue.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { buildOpenApi } from '@frontrow/shared/http/openapi.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { type ApiClient, createApiClient } from '@frontrow/shared/testing/api-client.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogRoutes } from './catalog.routes.ts';
import type { Concert } from './concert.ts';
import { expandLayout } from './layout.ts';

const dayMs = 86_400_000;
const firstDayMs = Date.parse('2030-01-01T20:00:00.000Z');
const layout = expandLayout(smallVenue());

/** Three concerts on each of fifteen evenings, at the same hour: their order among themselves is that of their ids. */
const concerts = Array.from({ length: 45 }, (_, index): Concert => {
  const startsAtMs = firstDayMs + Math.floor(index / 3) * dayMs;
  return {
    // Not in the order of their dates.
    id: ((index * 17) % 45) + 1,
    name: `Night ${index}`,
    artist: ['Lila', 'Bayu', 'The Örkestra'][index % 3] ?? '',
    city: ['Jakarta', 'Bandung'][index % 2] ?? '',
    venue: 'Small Hall',
    startsAtMs,
    opensAtMs: 0,
    closesAtMs: startsAtMs,
    saleOverride: 'none',
    holdTtlMs: 60_000,
    seatsPerUserMax: 8,
    updatedAtMs: 0,
    layout,
  };
});
const byId = new Map(concerts.map((concert) => [concert.id, concert]));
const inOrder = [...concerts].sort((a, b) => a.startsAtMs - b.startsAtMs || a.id - b.id);

let server: HttpServer;
let api: ApiClient;
beforeAll(async () => {
  const availability = () => ({ freeCount: 3, soldOut: false, freeBySection: () => [2, 1] });
  const catalog = { get: (id: number) => byId.get(id), all: () => byId.values() };
  const routes = catalogRoutes({ catalog, availability });
  server = new HttpServer({
    routes,
    log: createLogger('test', 'fatal'),
    metrics: new Metrics('test'),
    serviceTokenSecret: '',
  });
  const port = await freePort();
  await server.listen('127.0.0.1', port);
  api = createApiClient(`http://127.0.0.1:${port}`, buildOpenApi('Catalog', 'For tests', routes).getSpec());
});
afterAll(() => server?.drain(1_000));

async function pageOf(query: Record<string, string>) {
  const reply = await api.call('GET', `/api/concerts?${new URLSearchParams(query)}`);
  expect(reply.status).toBe(200);
  return concertListReply.parse(reply.body);
}

async function allPagesOf(query: Record<string, string>): Promise<number[]> {
  const ids: number[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Awaited<ReturnType<typeof pageOf>> = await pageOf({ ...query, ...(cursor && { cursor }) });
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return ids;
}

describe('the list', () => {
  test('gives every concert once, in order, whatever the size of a page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100 }), fc.boolean(), async (limit, descending) => {
        const ids = await allPagesOf({ limit: String(limit), sort: descending ? '-startsAt' : 'startsAt' });
        const expected = inOrder.map(({ id }) => id);
        expect(ids).toEqual(descending ? expected.reverse() : expected);
      }),
      { numRuns: 30 },
    );
  });

  test('has a next page only when there is one', async () => {
    expect((await pageOf({ limit: '45' })).nextCursor).toBeNull();
    expect((await pageOf({ limit: '44' })).nextCursor).not.toBeNull();
    expect((await pageOf({})).items).toHaveLength(20);
  });

  test.each<[string, Record<string, string>, (concert: Concert) => boolean]>([
    ['a city, in any case', { city: 'jAKARTA' }, ({ city }) => city === 'Jakarta'],
    ['a part of the artist', { query: 'bay' }, ({ artist }) => artist === 'Bayu'],
    ['letters beyond ASCII', { query: 'ÖRK' }, ({ artist }) => artist.startsWith('The')],
    ['a part of the name', { query: 'night 4' }, ({ name }) => name.startsWith('Night 4')],
    ['a part of the venue', { query: 'small hall' }, () => true],
    ['nothing that exists', { query: 'nobody' }, () => false],
    [
      'days, the first included, the last not',
      { from: '2030-01-02T20:00:00Z', to: '2030-01-04T20:00:00Z' },
      ({ startsAtMs }) => startsAtMs >= firstDayMs + dayMs && startsAtMs < firstDayMs + 3 * dayMs,
    ],
    [
      'all of these at once',
      { query: 'Lila', city: 'Bandung', from: '2030-01-05T00:00:00Z' },
      ({ artist, city, startsAtMs }) =>
        artist === 'Lila' && city === 'Bandung' && startsAtMs >= Date.parse('2030-01-05T00:00:00Z'),
    ],
  ])('can be narrowed to %s', async (_, query, fits) => {
    const expected = inOrder.filter(fits).map(({ id }) => id);
    expect(await allPagesOf({ ...query, limit: '4' })).toEqual(expected);
  });

  test.each([
    'limit=0',
    'limit=101',
    'limit=x',
    'cursor=x',
    'cursor=MTIz',
    'sort=name',
    'from=yesterday',
    'query=',
    'colour=red',
  ])('refuses %s and names the field', async (query) => {
    const reply = await api.call('GET', `/api/concerts?${query}`);
    const path = expect.stringContaining('query');
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ path }] } });
  });
});

test('a concert shows its sections, prices and limits', async () => {
  const reply = await api.call('GET', '/api/concerts/1');
  expect(reply.body).toMatchObject({
    id: 1,
    saleState: 'open',
    seatsTotal: 5,
    seatsLeft: 3,
    seatsPerHoldMax: 20,
    sections: [
      { id: 'A', priceMinor: 700, seatsTotal: 3, seatsLeft: 2 },
      { id: 'B', priceMinor: 500, seatsTotal: 2, seatsLeft: 1 },
    ],
  });
  expect((await api.call('GET', '/api/concerts/999')).status).toBe(404);
});

describe('the layout', () => {
  test.each([
    ['br, gzip', 'br'],
    ['gzip;q=1.0, *;q=0.5', 'gzip'],
    ['identity', null],
    ['', null],
  ])('for a client that accepts "%s" comes as %s', async (accepted, encoding) => {
    const reply = await api.call('GET', '/api/concerts/1/layout/1', { headers: { 'accept-encoding': accepted } });
    expect(reply.headers.get('content-encoding')).toBe(encoding);
    expect(reply.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(reply.headers.get('vary')).toBe('accept-encoding');
    const seats = layoutReply.parse(reply.body).sections.flatMap(({ rows }) => rows.flatMap((row) => row.seats));
    expect(seats.map(({ index, label }) => [index, label])).toEqual(
      layout.labels.map((label, index) => [index, label]),
    );
  });

  test('of another version, or of no concert, is not there', async () => {
    expect((await api.call('GET', '/api/concerts/1/layout/2')).status).toBe(404);
    expect((await api.call('GET', '/api/concerts/999/layout/1')).status).toBe(404);
    expect((await api.call('GET', '/api/concerts/1/layout/x')).status).toBe(400);
  });
});

function smallVenue() {
  const section = (id: string, priceCategory: string, seats: number, x: number) => ({
    id,
    name: id,
    priceCategory,
    position: { x, y: 1 },
    rows: [{ labels: '1', seats }],
  });
  const venue = validateVenue({
    id: 'small',
    name: 'Small Hall',
    city: 'Anywhere',
    layoutVersion: 1,
    currency: 'IDR',
    spacing: { seat: 0.5, row: 1 },
    priceCategories: [
      { id: 'dear', name: 'Dear', priceMinor: 700 },
      { id: 'cheap', name: 'Cheap', priceMinor: 500 },
    ],
    sections: [section('A', 'dear', 3, 0), section('B', 'cheap', 2, 20)],
  });
  if (!venue.ok) throw new Error(venue.failure.join());
  return venue.value;
}
