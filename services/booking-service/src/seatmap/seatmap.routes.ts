import { type Change, versionOf } from '@frontrow/shared/contracts/change.ts';
import { concertIdParam } from '@frontrow/shared/contracts/common.ts';
import { eventsQuery, eventsReply, seatmapReply } from '@frontrow/shared/contracts/concert.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import { z } from 'zod';
import type { SeatMap } from './seatmap.ts';

interface SeatMapDeps {
  map: (concertId: ConcertId) => SeatMap | undefined;
  labels: (concertId: ConcertId) => readonly string[] | undefined;
  /** Log entries after an id, oldest first; null when that part of the log is no longer kept. */
  readLog: (concertId: ConcertId, after: string | undefined, limit: number) => Promise<Change[] | null>;
  /** False encodes the map anew for every read, for comparison. */
  remember: boolean;
}

const concertParams = z.strictObject({ concertId: concertIdParam });
const unknownConcert = () => problem('not_found', { detail: 'There is no such concert.' });

export function seatMapRoutes(deps: SeatMapDeps): Route[] {
  return [getSeatMap(deps), getEvents(deps)];
}

function getSeatMap({ map, remember }: SeatMapDeps): Route {
  return route({
    method: 'GET',
    path: '/api/concerts/:concertId/seatmap',
    operationId: 'getSeatMap',
    summary: 'The state of every seat, from memory. Binary with `Accept: application/octet-stream`',
    auth: 'none',
    params: concertParams,
    headers: z.object({
      accept: z.string().max(limits.headerValueBytesMax).optional(),
      'if-none-match': z.string().max(limits.headerValueBytesMax).optional(),
    }),
    replies: {
      200: {
        description:
          'the map. Binary, little endian: u32 concert, u32 layout version, f64 version, u32 seat count, then two bits a seat, four seats a byte, lowest bits first',
        schema: seatmapReply,
        otherContentTypes: ['application/octet-stream'],
      },
      304: { description: 'nothing changed since that ETag' },
    },
    errors: ['not_found'],
    handler: ({ params, headers }) => {
      const live = map(params.concertId);
      if (live === undefined) return unknownConcert();
      if (!live.ready) throw new UnavailableError('the seat map is not loaded yet');
      const encoded = live.encoded(remember);
      const caching = { etag: encoded.etag, 'cache-control': 'no-cache', vary: 'accept' };
      if (headers['if-none-match'] === encoded.etag) return { status: 304, headers: caching };
      if (headers.accept?.includes('application/octet-stream')) {
        return {
          status: 200,
          body: encoded.binary(),
          headers: { ...caching, 'content-type': 'application/octet-stream' },
        };
      }
      return { status: 200, body: encoded.json, headers: { ...caching, 'content-type': 'application/json' } };
    },
  });
}

function getEvents({ labels, readLog }: SeatMapDeps): Route {
  return route({
    method: 'GET',
    path: '/api/concerts/:concertId/events',
    operationId: 'listEvents',
    summary: "The concert's log, for organisers and for audits",
    auth: 'user',
    params: concertParams,
    query: eventsQuery,
    replies: { 200: { description: 'events after `after`, oldest first', schema: eventsReply } },
    errors: ['not_found', 'forbidden', 'log_trimmed'],
    handler: async ({ params, query, identity }) => {
      if (identity?.role === 'fan') return problem('forbidden', { detail: 'The log is for organisers.' });
      const seatLabels = labels(params.concertId);
      if (seatLabels === undefined) return unknownConcert();
      const changes = await readLog(params.concertId, query.after, query.limit);
      if (changes === null) return problem('log_trimmed');
      return json(200, {
        items: changes.map(({ epoch, n, kind, atMs, booking }) => ({
          id: `${epoch}-${n}`,
          version: versionOf(epoch, n),
          kind,
          at: new Date(atMs).toISOString(),
          ...(booking && {
            bookingId: booking.id,
            userId: booking.userId,
            phase: booking.phase,
            seats: booking.seats.map((seat) => seatLabels[seat] ?? ''),
          }),
        })),
      });
    },
  });
}
