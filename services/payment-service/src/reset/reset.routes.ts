import { concertIdParam, concertIdSchema } from '@frontrow/shared/contracts/common.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { z } from 'zod';

const resetReply = z.strictObject({ concertId: concertIdSchema, removedPayments: z.number().int() });

/** For development and tests only: production does not have this route. */
export function resetRoutes(deleteConcert: (concertId: number) => Promise<number>): Route[] {
  return [
    route({
      method: 'POST',
      path: '/internal/concerts/:concertId/reset',
      operationId: 'resetConcertPayments',
      summary: 'Forget every payment of a concert (development and tests only)',
      auth: 'service',
      params: z.strictObject({ concertId: concertIdParam }),
      replies: { 200: { description: 'how many payments there were', schema: resetReply } },
      errors: [],
      handler: async ({ params }) => {
        const { concertId } = params;
        return json(200, { concertId, removedPayments: await deleteConcert(concertId) });
      },
    }),
  ];
}
