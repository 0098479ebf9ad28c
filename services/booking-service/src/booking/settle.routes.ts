import { doubleSale } from '@frontrow/shared/contracts/change.ts';
import {
  beginBody,
  beginReply,
  bookingIdParams,
  cancelBody,
  cancelReply,
  releasePaymentBody,
  releasePaymentReply,
  settleBody,
  settleReply,
} from '@frontrow/shared/contracts/internal.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { type ConcertId, concertIdOf } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { z } from 'zod';
import { type ConcertScripts, runUntilAnswered } from '../engine/scripts.ts';
import type { BookingRepo } from './booking.repo.ts';

interface SettleDeps {
  repo: () => BookingRepo;
  scripts: () => ConcertScripts;
  currency: (concertId: ConcertId) => string | undefined;
}

/** What payment-service asks: each call is idempotent, so it may be repeated until an answer arrives. */
export function settleRoutes(deps: SettleDeps): Route[] {
  const service = { auth: 'service', method: 'POST', params: bookingIdParams, errors: ['not_found'] } as const;
  return [
    route({
      ...service,
      path: '/internal/holds/:holdId/begin',
      operationId: 'beginPayment',
      summary: 'A payment attempt begins: freezes the amount and extends the hold',
      body: beginBody,
      replies: { 200: { description: 'the outcome', schema: beginReply } },
      handler: async ({ params, body }) => {
        const concertId = concertIdOf(params.holdId);
        const currency = deps.currency(concertId);
        if (currency === undefined) return json(200, { outcome: 'not_found' });
        const [outcome, expires, total, seats] = await runUntilAnswered(deps.scripts(), 'begin', concertId, [
          body.userId,
          params.holdId,
          body.attempt,
          limits.paymentGraceMs,
          limits.paymentAttemptsMax,
        ]);
        if (outcome !== 'begun') return json(200, { outcome });
        return json(200, {
          outcome,
          seats: String(seats).split(',').map(Number),
          amountMinor: Number(total),
          currency,
          expiresAt: new Date(Number(expires)).toISOString(),
        });
      },
    }),
    route({
      ...service,
      path: '/internal/holds/:holdId/release-payment',
      operationId: 'releasePayment',
      summary: 'A payment attempt was definitely declined: the hold has its old expiry again',
      body: releasePaymentBody,
      replies: { 200: { description: 'the outcome', schema: releasePaymentReply } },
      handler: async ({ params, body }) => {
        if (deps.currency(concertIdOf(params.holdId)) === undefined) return json(200, { outcome: 'not_found' });
        const [outcome] = await runUntilAnswered(deps.scripts(), 'release_pay', concertIdOf(params.holdId), [
          body.userId,
          params.holdId,
          body.attempt,
        ]);
        return json(200, { outcome });
      },
    }),
    route({
      ...service,
      path: '/internal/holds/:holdId/settle',
      operationId: 'settle',
      summary: 'Money was captured: sells the seats, or says that they are lost',
      body: settleBody,
      replies: { 200: { description: 'the outcome', schema: settleReply } },
      handler: async ({ params, body }) => {
        if (deps.currency(concertIdOf(params.holdId)) === undefined) return unknownConcert();
        return json(200, await settle(deps, params.holdId, body));
      },
    }),
    route({
      ...service,
      path: '/internal/holds/:holdId/cancel',
      operationId: 'cancelHold',
      summary: 'Money goes back: makes sure that the booking has no seats, now and later',
      body: cancelBody,
      replies: { 200: { description: 'it has none', schema: cancelReply } },
      handler: async ({ params, body }) => {
        if (deps.currency(concertIdOf(params.holdId)) === undefined) return unknownConcert();
        await cancel(deps, params.holdId, body, false);
        // The refund waits for the database: a loss of Redis must not bring back seats whose money went home.
        const stored = await deps.repo().find(concertIdOf(params.holdId), params.holdId);
        return json(200, { outcome: 'cancelled', durable: stored?.phase === 'lost' });
      },
    }),
  ];
}

const unknownConcert = () => problem('not_found', { detail: 'There is no such concert.' });

type SettleBody = z.infer<typeof settleBody>;

/**
 * Sold is said to be durable only when the database has it. A confirmation that could not be written is lost: the payment
 * gives the money back.
 */
async function settle(deps: SettleDeps, holdId: string, body: SettleBody): Promise<z.infer<typeof settleReply>> {
  const concertId = concertIdOf(holdId);
  const seats = body.seats.join();
  const [outcome] = await runUntilAnswered(deps.scripts(), 'settle', concertId, [
    body.userId,
    holdId,
    body.amountMinor,
    body.seats.length,
    seats,
    limits.idempotencyWindowMs,
  ]);
  if (outcome === 'lost') return { outcome, durable: true };
  const stored = await deps.repo().find(concertId, holdId);
  if (stored?.phase === 'sold') return { outcome, durable: true };
  const dead = await deps.repo().deadConfirmation(concertId, holdId);
  if (dead === null) return { outcome, durable: false };
  await cancel(deps, holdId, body, dead === doubleSale);
  return { outcome: 'lost', durable: true };
}

async function cancel(deps: SettleDeps, holdId: string, body: SettleBody, keepSeats: boolean): Promise<void> {
  await runUntilAnswered(deps.scripts(), 'cancel', concertIdOf(holdId), [
    body.userId,
    holdId,
    body.amountMinor,
    body.seats.length,
    body.seats.join(),
    limits.idempotencyWindowMs,
    keepSeats ? 1 : 0,
  ]);
}
