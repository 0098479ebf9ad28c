import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { isConcertScopedId } from '@frontrow/shared/ids.ts';
import { limits } from '@frontrow/shared/limits.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import { z } from 'zod';
import type { PaymentProvider, ProviderEvent } from '../provider/provider.ts';
import type { WebhookRepo } from './webhook.repo.ts';

export interface WebhookDeps {
  providers: readonly PaymentProvider[];
  /** @returns whose charge a provider's key names, or null when it is none of ours. */
  parseChargeKey: (key: string) => { paymentId: string; attempt: number } | null;
  events: Pick<WebhookRepo, 'store'>;
  /** Tells a worker to look at the charge. */
  ring: (about: { paymentId: string; attempt: number; event: { provider: string; id: string } }) => Promise<void>;
  now: () => number;
  log: Logger;
  count: (provider: string, outcome: WebhookOutcome) => void;
}
export type WebhookOutcome = 'new' | 'repeated' | 'foreign' | 'bad_signature' | 'malformed';

const receivedReply = z.strictObject({ received: z.literal(true) });

/**
 * A webhook is only a doorbell: it is checked, stored and answered; then a worker asks the provider itself. So a repeated, late
 * or reordered one does no harm.
 */
export function webhookRoutes(deps: WebhookDeps): Route[] {
  const names = deps.providers.map(({ webhookHeader }) => [webhookHeader, z.string().max(1_000).optional()] as const);
  return [
    route({
      method: 'POST',
      path: '/api/webhooks/:provider',
      operationId: 'receiveWebhook',
      summary: 'Where a payment provider reports. Signed over the raw body; at most five minutes old.',
      auth: 'none',
      params: z.strictObject({ provider: z.string() }),
      headers: z.object(Object.fromEntries(names)),
      bodyMode: 'raw',
      bodyBytesMax: limits.webhookBodyBytesMax,
      replies: { 200: { description: 'stored, or stored before', schema: receivedReply } },
      errors: ['not_found', 'unauthenticated', 'payload_too_large'],
      handler: async ({ params, headers, rawBody }) => {
        const provider = deps.providers.find(({ name }) => name === params.provider);
        if (provider === undefined) return problem('not_found', { detail: 'There is no such provider.' });
        const signature = headers[provider.webhookHeader] ?? '';
        const event = provider.readWebhook(rawBody, signature, deps.now());
        if (!event.ok) {
          deps.count(provider.name, event.failure);
          return event.failure === 'bad_signature'
            ? problem('unauthenticated', { detail: 'The signature is missing, wrong, or too old.' })
            : problem('invalid_request', { detail: 'This is not an event of the provider.' });
        }
        await receive(deps, provider.name, event.value, rawBody);
        return json(200, { received: true });
      },
    }),
  ];
}

/** Answered only when it is stored and a worker knows of it; otherwise the provider sends it again. */
async function receive(deps: WebhookDeps, provider: string, event: ProviderEvent, rawBody: Buffer): Promise<void> {
  const { id, type } = event;
  const charge = deps.parseChargeKey(event.chargeKey);
  if (charge === null || !isConcertScopedId(charge.paymentId)) {
    deps.log.warn({ provider, event: id, type }, 'a webhook tells of a charge that is not ours');
    deps.count(provider, 'foreign');
    return;
  }
  const stored = await deps.events.store({ provider, id, type, ...charge, payload: rawBody.toString('utf8') });
  deps.count(provider, stored === 'to_drive' ? 'new' : 'repeated');
  if (stored === 'to_drive') await deps.ring({ ...charge, event: { provider, id } });
}
