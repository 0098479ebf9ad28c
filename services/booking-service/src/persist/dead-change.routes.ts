import { concertIdParam } from '@frontrow/shared/contracts/common.ts';
import { deadChangesReply } from '@frontrow/shared/contracts/internal.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { z } from 'zod';
import type { Persister } from './persist.ts';

/** Changes that could not be written stand aside, counted; after the cause is mended they are replayed here. */
export function deadChangeRoutes(persister: () => Persister, exists: (id: ConcertId) => boolean): Route[] {
  const shared = {
    auth: 'service',
    params: z.strictObject({ concertId: concertIdParam }),
    errors: ['not_found'],
  } as const;
  const replies = { 200: { description: 'what is still aside', schema: deadChangesReply } };
  const unknownConcert = () => problem('not_found', { detail: 'There is no such concert.' });
  const show = (replayed: number, items: Awaited<ReturnType<Persister['listDead']>>) =>
    json(200, {
      replayed,
      items: items.map(({ place, kind, reason, detail }) => ({
        id: `${place.epoch}-${place.n}`,
        kind,
        reason,
        detail,
      })),
    });
  return [
    route({
      ...shared,
      method: 'GET',
      path: '/internal/concerts/:concertId/dead-changes',
      operationId: 'listDeadChanges',
      summary: 'Changes that could not be written',
      replies,
      handler: async ({ params }) =>
        exists(params.concertId) ? show(0, await persister().listDead(params.concertId)) : unknownConcert(),
    }),
    route({
      ...shared,
      method: 'POST',
      path: '/internal/concerts/:concertId/dead-changes/replay',
      operationId: 'replayDeadChanges',
      summary: 'Tries again to write them',
      replies,
      handler: async ({ params }) => {
        if (!exists(params.concertId)) return unknownConcert();
        const { replayed, remaining } = await persister().replayDead(params.concertId);
        return show(replayed, remaining);
      },
    }),
  ];
}
