import { createConcertBody, createConcertReply, venueReply } from '@frontrow/shared/contracts/internal.ts';
import { validateVenue } from '@frontrow/shared/contracts/venue.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';
import type { CatalogRepo } from './catalog.repo.ts';

/** Venues and concerts come in here: the seed today, organisers' pages later. */
export function organiseRoutes(repo: () => CatalogRepo): Route[] {
  return [
    route({
      method: 'PUT',
      path: '/internal/venues/:venueId',
      operationId: 'putVenue',
      summary: 'Stores a version of a venue',
      auth: 'service',
      params: z.strictObject({ venueId: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/) }),
      body: z.unknown().meta({ description: 'a venue file, see db/README.md' }),
      bodyBytesMax: limits.internalBodyBytesMax,
      replies: { 200: { description: 'stored', schema: venueReply } },
      errors: [],
      handler: async ({ params, body }) => {
        const venue = validateVenue(body);
        if (!venue.ok) return invalid(venue.failure.slice(0, 20));
        if (venue.value.id !== params.venueId) return invalid([`id: the address says ${params.venueId}`]);
        const { status, layout } = await repo().saveVenue(venue.value);
        if (status === 'changed') return invalid(['layoutVersion: this version is stored with other seats; raise it']);
        return json(200, { venueId: venue.value.id, layoutVersion: layout.layoutVersion, seatCount: layout.seatCount });
      },
    }),
    route({
      method: 'POST',
      path: '/internal/concerts',
      operationId: 'createConcert',
      summary: 'Creates a concert with all its tickets',
      auth: 'service',
      body: createConcertBody,
      replies: { 201: { description: 'it is on sale from `opensAt` on', schema: createConcertReply } },
      errors: ['not_found'],
      handler: async ({ body }) => {
        const venue = await repo().findVenue(body.venueId);
        if (venue === null) return problem('not_found', { detail: `There is no venue ${body.venueId}.` });
        if (Date.parse(body.closesAt) <= Date.parse(body.opensAt)) return invalid(['closesAt: must be after opensAt']);
        const { seatCount } = await repo().createConcert(
          {
            ...body,
            startsAt: new Date(body.startsAt),
            opensAt: new Date(body.opensAt),
            closesAt: new Date(body.closesAt),
          },
          venue,
        );
        return json(201, { id: body.id, seatCount });
      },
    }),
  ];
}

const invalid = (faults: string[]) =>
  problem('invalid_request', {
    errors: faults.map((fault) => {
      const colon = fault.indexOf(': ');
      return { path: fault.slice(0, colon), code: 'custom', message: fault.slice(colon + 2) };
    }),
  });
