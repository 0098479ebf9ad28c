import { concertIdParam } from '@frontrow/shared/contracts/common.ts';
import { recoverReply, resetConcertBody, resetConcertReply } from '@frontrow/shared/contracts/internal.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import { z } from 'zod';
import type { Recovery } from './recovery.ts';

type Recoverable = Parameters<Recovery['recover']>[0];
/** What a reset may change of a concert's sale. */
type SaleChange = { holdTtlMs?: number; seatsPerUserMax?: number; opensAtMs?: number; closesAtMs?: number };

interface RecoveryDeps {
  recovery: () => Recovery;
  concert: (id: ConcertId) => Recoverable | undefined;
  /** Stores the changed sale in the directory. @returns the concert as it is now. */
  changeSale: (id: ConcertId, change: SaleChange) => Promise<Recoverable>;
  /** Resets destroy bookings: refused in production. */
  resetAllowed: boolean;
}

const concertParams = z.strictObject({ concertId: concertIdParam });
const unknownConcert = () => problem('not_found', { detail: 'There is no such concert.' });

export function recoveryRoutes(deps: RecoveryDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/internal/concerts/:concertId/recover',
      operationId: 'recoverConcert',
      summary: "Rebuilds the concert's state in Redis from MySQL, and says what was lost",
      auth: 'service',
      params: concertParams,
      replies: { 200: { description: 'what was done', schema: recoverReply } },
      errors: ['not_found'],
      handler: async ({ params }) => {
        const concert = deps.concert(params.concertId);
        if (concert === undefined) return unknownConcert();
        const report = await deps.recovery().recover(concert);
        if (report === null) throw new UnavailableError('another process recovers this concert now');
        return json(200, report);
      },
    }),
    route({
      method: 'POST',
      path: '/internal/concerts/:concertId/reset',
      operationId: 'resetConcert',
      summary: 'Development only: deletes every booking of the concert and opens it anew',
      auth: 'service',
      params: concertParams,
      body: resetConcertBody,
      replies: { 200: { description: 'all seats are free', schema: resetConcertReply } },
      errors: ['not_found', 'forbidden'],
      handler: async ({ params, body }) => {
        if (!deps.resetAllowed)
          return problem('forbidden', { detail: 'A reset destroys bookings: it is refused in production.' });
        if (deps.concert(params.concertId) === undefined) return unknownConcert();
        const concert = await deps.changeSale(params.concertId, {
          ...(body.holdTtlMs !== undefined && { holdTtlMs: body.holdTtlMs }),
          ...(body.seatsPerUserMax !== undefined && { seatsPerUserMax: body.seatsPerUserMax }),
          ...(body.opensAt !== undefined && { opensAtMs: Date.parse(body.opensAt) }),
          ...(body.closesAt !== undefined && { closesAtMs: Date.parse(body.closesAt) }),
        });
        const done = await deps.recovery().reset(concert);
        if (done === null) throw new UnavailableError('another process recovers this concert now');
        return json(200, { concertId: params.concertId, epoch: done.epoch });
      },
    }),
  ];
}
