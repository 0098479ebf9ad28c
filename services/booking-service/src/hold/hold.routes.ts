import { concertIdParam, idempotencyKeySchema, scopedIdSchema } from '@frontrow/shared/contracts/common.ts';
import { holdBody, holdDetailReply, holdReply, phaseSchema } from '@frontrow/shared/contracts/hold.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, noContent, type Reply, type Route, route } from '@frontrow/shared/http/route.ts';
import { type ConcertId, concertIdOf } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { z } from 'zod';
import { type ConcertScripts, runUntilAnswered } from '../engine/scripts.ts';
import type { HoldAnswer, HoldStore } from './hold.store.ts';
import { type HoldableConcert, holdRequest, type LiveSeats, refuseEarly, seatsOfLabels } from './hold.ts';

interface SellableConcert extends HoldableConcert {
  seatsPerUserMax: number;
  layout: HoldableConcert['layout'] & { labels: readonly string[]; currency: string };
}

interface HoldDeps {
  concert: (id: ConcertId) => SellableConcert | undefined;
  live: (id: ConcertId) => (LiveSeats & { soldOut: boolean; ready: boolean }) | undefined;
  store: Pick<HoldStore, 'hold'>;
  scripts: () => ConcertScripts;
  holdIdSecret: string;
  /** False sends every doomed hold to Redis, for comparison. */
  earlyRefusal: boolean;
  onAnswer?: (status: string) => void;
}

const holdParams = z.strictObject({ holdId: scopedIdSchema });

export function holdRoutes(deps: HoldDeps): Route[] {
  return [createHold(deps), getHold(deps), releaseHold(deps)];
}

function createHold(deps: HoldDeps): Route {
  return route({
    method: 'POST',
    path: '/api/concerts/:concertId/holds',
    operationId: 'createHold',
    summary: 'Holds seats for a while: all of them or none',
    auth: 'user',
    params: z.strictObject({ concertId: concertIdParam }),
    headers: z.object({
      'idempotency-key': idempotencyKeySchema.optional().meta({
        description: 'The same key and body give the same hold again, for 24 hours after it ended.',
      }),
    }),
    body: holdBody,
    replies: { 201: { description: 'the seats are yours until `expiresAt`', schema: holdReply } },
    errors: [
      'not_found',
      'seats_taken',
      'sold_out',
      'sale_not_open',
      'sale_closed',
      'hold_expired',
      'idempotency_key_reused',
      'seat_limit_reached',
      'unknown_seat',
      'rate_limited',
    ],
    handler: async ({ params, headers, body, identity }) => {
      const concert = deps.concert(params.concertId);
      if (concert === undefined || identity === null)
        return problem('not_found', { detail: 'There is no such concert.' });
      const seats = seatsOfLabels(concert, body.seats);
      if (!seats.ok) return unknownSeats(seats.failure, body.seats);
      const live = deps.live(concert.id);
      const early =
        deps.earlyRefusal && live?.ready ? refuseEarly(concert, live, identity.userId, seats.value, Date.now()) : null;
      const wish = { userId: identity.userId, labels: body.seats, idempotencyKey: headers['idempotency-key'] };
      const request = holdRequest(deps.holdIdSecret, concert, wish, seats.value);
      const answer: HoldAnswer = early ?? (await deps.store.hold(request));
      deps.onAnswer?.(answer.status);
      if (!isGranted(answer)) return refusal(concert, answer, live?.soldOut ?? false);
      return json(
        201,
        {
          id: request.holdId,
          concertId: concert.id,
          seats: labelsOf(concert, seats.value),
          expiresAt: new Date(answer.expiresAtMs).toISOString(),
          totalMinor: answer.totalMinor,
          currency: concert.layout.currency,
        },
        { location: `/api/holds/${request.holdId}` },
      );
    },
  });
}

function getHold(deps: HoldDeps): Route {
  return route({
    method: 'GET',
    path: '/api/holds/:holdId',
    operationId: 'getHold',
    summary: 'A hold of yours',
    auth: 'user',
    params: holdParams,
    replies: { 200: { description: 'the hold', schema: holdDetailReply } },
    errors: ['not_found'],
    handler: async ({ params, identity }) => {
      const concert = deps.concert(concertIdOf(params.holdId));
      if (concert === undefined || identity === null) return noSuchHold();
      const [status, phase, seats, total, expires] = await runUntilAnswered(deps.scripts(), 'find', concert.id, [
        identity.userId,
        params.holdId,
      ]);
      if (status === 'not_found') return noSuchHold();
      return json(200, {
        id: params.holdId,
        concertId: concert.id,
        phase: phaseSchema.parse(phase),
        seats: labelsOf(concert, String(seats).split(',').map(Number)),
        expiresAt: new Date(Number(expires)).toISOString(),
        totalMinor: Number(total),
        currency: concert.layout.currency,
      });
    },
  });
}

function releaseHold(deps: HoldDeps): Route {
  return route({
    method: 'DELETE',
    path: '/api/holds/:holdId',
    operationId: 'releaseHold',
    summary: 'Lets a hold go; its seats are free at once',
    auth: 'user',
    params: holdParams,
    replies: { 204: { description: 'it has ended, now or before' } },
    errors: ['not_found', 'not_cancellable'],
    handler: async ({ params, identity }) => {
      const concert = deps.concert(concertIdOf(params.holdId));
      if (concert === undefined || identity === null) return noSuchHold();
      const args = [identity.userId, params.holdId, limits.idempotencyWindowMs, limits.resendWindowMs];
      const [status] = await runUntilAnswered(deps.scripts(), 'release', concert.id, args);
      if (status === 'not_found') return noSuchHold();
      if (status === 'payment_pending')
        return problem('not_cancellable', { detail: 'A payment for this hold is running. Wait for it to end.' });
      if (status === 'already_paid')
        return problem('not_cancellable', { detail: 'This hold is paid: it is a confirmed booking.' });
      return noContent;
    },
  });
}

const labelsOf = (concert: SellableConcert, seats: readonly number[]): string[] =>
  seats.map((seat) => concert.layout.labels[seat] ?? '');
// The same answer for an unknown hold and for somebody else's: an id is no way to learn about others.
const noSuchHold = (): Reply => problem('not_found', { detail: 'You have no such hold.' });

const unknownSeats = (unknown: readonly string[], asked: readonly string[]): Reply =>
  problem('unknown_seat', {
    errors: unknown.slice(0, 20).map((label) => ({
      path: `seats.${asked.indexOf(label)}`,
      code: 'unknown_seat',
      message: `there is no seat ${label}`,
    })),
  });

type Granted = Extract<HoldAnswer, { status: 'held' | 'resent' }>;
const isGranted = (answer: HoldAnswer): answer is Granted => answer.status === 'held' || answer.status === 'resent';

function refusal(concert: SellableConcert, answer: Exclude<HoldAnswer, Granted>, soldOut: boolean): Reply {
  switch (answer.status) {
    case 'seats_taken':
      if (soldOut) return problem('sold_out');
      return problem('seats_taken', { extra: { conflicts: labelsOf(concert, answer.seats) } });
    case 'sale_not_open':
      return problem('sale_not_open', { extra: { opensAt: new Date(answer.opensAtMs).toISOString() } });
    case 'sale_paused':
      return problem('sale_closed', { detail: 'The sale is paused. Look at `saleState` of the concert.' });
    case 'seat_limit_reached':
      return problem('seat_limit_reached', {
        detail: `You may have ${concert.seatsPerUserMax} seats of this concert and have ${answer.liveSeats}.`,
      });
    case 'rate_limited':
      return tooManyHolds(answer.freeAgainAtMs);
    case 'hold_ended':
      return problem('hold_expired', {
        detail: 'The hold that this Idempotency-Key made has ended. Use a new key for a new hold.',
      });
    case 'overloaded':
    case 'sale_closed':
    case 'idempotency_key_reused':
      return problem(answer.status);
  }
}

function tooManyHolds(freeAgainAtMs: number): Reply {
  const seconds = Math.max(1, Math.ceil((freeAgainAtMs - Date.now()) / 1_000));
  return problem('rate_limited', {
    detail: `You have made ${limits.recordsPerFanMax} holds for this concert within a day.`,
    headers: {
      'retry-after': String(seconds),
      'x-ratelimit-limit': String(limits.recordsPerFanMax),
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(seconds),
    },
  });
}
