import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { concertIdParam } from '@frontrow/shared/contracts/common.ts';
import { concertListQuery, concertListReply, concertReply, layoutReply } from '@frontrow/shared/contracts/concert.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';
import type { Catalog } from './catalog.ts';
import { type Concert, saleStateOf } from './concert.ts';

/** The live part of a concert, which the seat map knows. */
interface Availability {
  freeCount: number;
  soldOut: boolean;
  freeBySection(sectionByIndex: Uint16Array, sectionCount: number): number[];
}

interface CatalogDeps {
  catalog: Pick<Catalog, 'get' | 'all'>;
  availability: (concertId: ConcertId) => Availability | undefined;
}

const concertParams = z.strictObject({ concertId: concertIdParam });
const iso = (ms: number): string => new Date(ms).toISOString();

export function catalogRoutes({ catalog, availability }: CatalogDeps): Route[] {
  const summary = (concert: Concert) => {
    const live = availability(concert.id);
    return {
      id: concert.id,
      name: concert.name,
      artist: concert.artist,
      city: concert.city,
      venue: concert.venue,
      startsAt: iso(concert.startsAtMs),
      saleState: saleStateOf(concert, live?.soldOut ?? false, Date.now()),
      opensAt: iso(concert.opensAtMs),
      closesAt: iso(concert.closesAtMs),
      seatsTotal: concert.layout.seatCount,
      seatsLeft: live?.freeCount ?? 0,
      priceFromMinor: concert.layout.priceFromMinor,
      currency: concert.layout.currency,
    };
  };
  const notFound = () => problem('not_found', { detail: 'There is no such concert. `GET /api/concerts` lists them.' });

  return [
    route({
      method: 'GET',
      path: '/api/concerts',
      operationId: 'listConcerts',
      summary: 'Concerts by their date, a page at a time',
      auth: 'none',
      query: concertListQuery,
      replies: { 200: { description: 'a page', schema: concertListReply } },
      errors: [],
      handler: ({ query }) => {
        const page = pageOf(catalog.all(), query);
        if (page === null) {
          return problem('invalid_request', {
            errors: [{ path: 'query.cursor', code: 'custom', message: 'not a cursor of this list' }],
          });
        }
        return json(200, { items: page.items.map(summary), nextCursor: page.nextCursor });
      },
    }),
    route({
      method: 'GET',
      path: '/api/concerts/:concertId',
      operationId: 'getConcert',
      summary: 'A concert with its sections, prices, sale window and limits',
      auth: 'none',
      params: concertParams,
      replies: { 200: { description: 'the concert', schema: concertReply } },
      errors: ['not_found'],
      handler: ({ params }) => {
        const concert = catalog.get(params.concertId);
        if (concert === undefined) return notFound();
        const { sections, sectionByIndex, layoutVersion } = concert.layout;
        const free = availability(concert.id)?.freeBySection(sectionByIndex, sections.length) ?? [];
        return json(200, {
          ...summary(concert),
          holdTtlMs: concert.holdTtlMs,
          seatsPerHoldMax: limits.seatsPerHoldMax,
          seatsPerUserMax: concert.seatsPerUserMax,
          layoutVersion,
          sections: sections.map(({ id, name, priceMinor, rows }, index) => ({
            id,
            name,
            priceMinor,
            seatsTotal: rows.reduce((sum, row) => sum + row.seats.length, 0),
            seatsLeft: free[index] ?? 0,
          })),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/api/concerts/:concertId/layout/:version',
      operationId: 'getLayout',
      summary: 'Every seat and its place; a version never changes',
      auth: 'none',
      params: z.strictObject({
        concertId: concertIdParam,
        version: z
          .string()
          .regex(/^\d{1,9}$/, 'a number')
          .transform(Number),
      }),
      headers: z.object({ 'accept-encoding': z.string().max(limits.headerValueBytesMax).optional() }),
      replies: { 200: { description: 'the layout; cacheable for a year', schema: layoutReply } },
      errors: ['not_found'],
      handler: async ({ params, headers }) => {
        const concert = catalog.get(params.concertId);
        if (concert === undefined) return notFound();
        if (concert.layout.layoutVersion !== params.version) {
          return problem('not_found', { detail: `The layout's version is ${concert.layout.layoutVersion}.` });
        }
        const encoding = encodingFor(headers['accept-encoding'] ?? '');
        return {
          status: 200,
          body: await compressedLayout(concert, encoding),
          headers: {
            'content-type': 'application/json',
            'cache-control': 'public, max-age=31536000, immutable',
            vary: 'accept-encoding',
            ...(encoding !== 'identity' && { 'content-encoding': encoding }),
          },
        };
      },
    }),
  ];
}

/** @returns null when the cursor is not one of this list. */
function pageOf(
  concerts: Iterable<Concert>,
  query: z.infer<typeof concertListQuery>,
): { items: Concert[]; nextCursor: string | null } | null {
  const direction = query.sort === 'startsAt' ? 1 : -1;
  const order = (a: { startsAtMs: number; id: number }, b: { startsAtMs: number; id: number }) =>
    direction * (a.startsAtMs - b.startsAtMs || a.id - b.id);
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor);
  if (after === null) return null;
  const text = query.query?.toLowerCase();
  const matches = [...concerts].filter(
    (concert) =>
      (text === undefined ||
        `${concert.name}\n${concert.artist}\n${concert.venue}\n${concert.city}`.toLowerCase().includes(text)) &&
      (query.city === undefined || concert.city.toLowerCase() === query.city.toLowerCase()) &&
      (query.from === undefined || concert.startsAtMs >= Date.parse(query.from)) &&
      (query.to === undefined || concert.startsAtMs < Date.parse(query.to)) &&
      (after === undefined || order(concert, after) > 0),
  );
  const items = matches.sort(order).slice(0, query.limit);
  const last = items.at(-1);
  const nextCursor =
    matches.length > items.length && last ? Buffer.from(`${last.startsAtMs}:${last.id}`).toString('base64url') : null;
  return { items, nextCursor };
}

function readCursor(cursor: string): { startsAtMs: number; id: number } | null {
  const match = /^(\d{1,15}):(\d{1,10})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  return match ? { startsAtMs: Number(match[1]), id: Number(match[2]) } : null;
}

const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
/** Off the event loop: a stadium takes 0.2 s, and holds must not wait for it. */
const encodings = {
  br: (text: Buffer) => promisify(brotliCompress)(text, brotliOptions),
  gzip: (text: Buffer) => promisify(gzip)(text),
  identity: (text: Buffer) => Promise.resolve(text),
};
type Encoding = keyof typeof encodings;

function encodingFor(acceptEncoding: string): Encoding {
  const accepted = acceptEncoding.split(',').map((part) => part.split(';')[0]?.trim());
  return accepted.includes('br') ? 'br' : accepted.includes('gzip') ? 'gzip' : 'identity';
}

const layoutBytes = new Map<string, Promise<Buffer>>();

/** Each form is made once: a layout never changes. */
function compressedLayout({ id, layout }: Concert, encoding: Encoding): Promise<Buffer> {
  const { layoutVersion, sections } = layout;
  const key = `${id}:${layoutVersion}:${encoding}`;
  let bytes = layoutBytes.get(key);
  if (bytes === undefined) {
    bytes = encodings[encoding](Buffer.from(JSON.stringify({ concertId: id, layoutVersion, sections })));
    layoutBytes.set(key, bytes);
  }
  return bytes;
}
