import { scopedIdSchema } from '@frontrow/shared/contracts/common.ts';
import {
  bookingListQuery,
  bookingListReply,
  bookingReply,
  phaseSchema,
  statusOfPhase,
} from '@frontrow/shared/contracts/hold.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { type ConcertId, concertIdOf, type HoldId, isConcertScopedId, type UserId } from '@frontrow/shared/ids.ts';
import { z } from 'zod';
import { type ConcertScripts, runUntilAnswered } from '../engine/scripts.ts';
import type { Booking, BookingPlace, BookingRepo } from './booking.repo.ts';

interface BookingDeps {
  repo: () => BookingRepo;
  scripts: () => ConcertScripts;
  layout: (concertId: ConcertId) => { labels: readonly string[]; currency: string } | undefined;
}

export function bookingRoutes(deps: BookingDeps): Route[] {
  const show = (booking: Booking) => {
    const labels = deps.layout(booking.concertId)?.labels;
    const status = statusOfPhase[booking.phase];
    return {
      id: booking.id,
      concertId: booking.concertId,
      status,
      seats: booking.seats.map((seat) => labels?.[seat] ?? String(seat)),
      totalMinor: booking.totalMinor,
      currency: booking.currency,
      expiresAt: status === 'pending' ? new Date(booking.expiresAtMs).toISOString() : null,
      createdAt: new Date(booking.createdAtMs).toISOString(),
    };
  };
  return [
    route({
      method: 'GET',
      path: '/api/bookings',
      operationId: 'listBookings',
      summary: 'Your bookings, newest first',
      auth: 'user',
      query: bookingListQuery,
      replies: { 200: { description: 'a page', schema: bookingListReply } },
      errors: [],
      handler: async ({ query, identity }) => {
        const after = query.cursor === undefined ? undefined : readCursor(query.cursor);
        if (after === null || identity === null) {
          return problem('invalid_request', {
            errors: [{ path: 'query.cursor', code: 'custom', message: 'not a cursor of this list' }],
          });
        }
        const { items, next } = await deps.repo().listOfUser(identity.userId, query.limit, after);
        return json(200, { items: items.map(show), nextCursor: next && writeCursor(next) });
      },
    }),
    route({
      method: 'GET',
      path: '/api/bookings/:bookingId',
      operationId: 'getBooking',
      summary: 'A booking of yours; `confirmed` means stored',
      auth: 'user',
      params: z.strictObject({ bookingId: scopedIdSchema }),
      replies: { 200: { description: 'the booking', schema: bookingReply } },
      errors: ['not_found'],
      handler: async ({ params, identity }) => {
        const concertId = concertIdOf(params.bookingId);
        const stored = deps.layout(concertId) && identity ? await deps.repo().find(concertId, params.bookingId) : null;
        const booking =
          stored ?? (identity && (await notYetStored(deps, concertId, identity.userId, params.bookingId)));
        if (!booking || booking.userId !== identity?.userId)
          return problem('not_found', { detail: 'You have no such booking.' });
        return json(200, show(booking));
      },
    }),
  ];
}

/** A booking that is on its way to the database is read from Redis, as pending: `confirmed` is said only of what is stored. */
async function notYetStored(
  deps: BookingDeps,
  concertId: ConcertId,
  userId: UserId,
  id: HoldId,
): Promise<Booking | null> {
  const layout = deps.layout(concertId);
  if (layout === undefined) return null;
  const [status, phaseName, seats, total, expires, , , , created] = await runUntilAnswered(
    deps.scripts(),
    'find',
    concertId,
    [userId, id],
  );
  if (status === 'not_found') return null;
  const phase = phaseSchema.parse(phaseName);
  return {
    concertId,
    id,
    userId,
    phase: phase === 'sold' ? 'paying' : phase,
    seats: String(seats).split(',').map(Number),
    totalMinor: Number(total),
    currency: layout.currency,
    expiresAtMs: Number(expires),
    createdAtMs: Number(created),
  };
}

const writeCursor = (place: BookingPlace): string =>
  Buffer.from(`${place.createdAtMs}:${place.bookingId}`).toString('base64url');

function readCursor(cursor: string): BookingPlace | null {
  const [createdAt = '', bookingId = ''] = Buffer.from(cursor, 'base64url').toString('latin1').split(':');
  return /^\d{1,15}$/.test(createdAt) && isConcertScopedId(bookingId)
    ? { createdAtMs: Number(createdAt), bookingId }
    : null;
}
