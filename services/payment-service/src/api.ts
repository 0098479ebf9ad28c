import { buildOpenApi } from '@frontrow/shared/http/openapi.ts';
import type { Route } from '@frontrow/shared/http/route.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import type { OpenApiBuilder } from 'openapi3-ts/oas31';
import { createBookingClient } from './booking/booking.client.ts';
import { createPaymentRepo } from './payment/payment.repo.ts';
import { type PaymentRoutesDeps, paymentRoutes } from './payment/payment.routes.ts';
import { parseChargeKey } from './payment/payment.ts';
import { createSandboxProvider } from './provider/sandbox.ts';
import { createReset } from './reset/reset.repo.ts';
import { resetRoutes } from './reset/reset.routes.ts';
import { createWebhookRepo } from './webhook/webhook.repo.ts';
import { type WebhookDeps, webhookRoutes } from './webhook/webhook.routes.ts';

export interface ApiDeps extends PaymentRoutesDeps {
  webhooks: Omit<WebhookDeps, 'parseChargeKey'>;
  /** Absent in production. */
  deleteConcert?: (concertId: number) => Promise<number>;
}

/** Every route of the service, in one list: what is served and what is documented is the same. */
export const apiRoutes = (deps: ApiDeps): Route[] => [
  ...paymentRoutes(deps),
  ...webhookRoutes({ ...deps.webhooks, parseChargeKey }),
  ...(deps.deleteConcert ? resetRoutes(deps.deleteConcert) : []),
];

export const documentOf = (routes: readonly Route[]): OpenApiBuilder =>
  buildOpenApi(
    'Frontrow payment-service',
    'Payments for held seats. A payment is taken at once (202) and made in the background; a webhook is only a doorbell.',
    routes,
  );

/** The document without a running service: its routes reach nothing. */
export function apiDocument(): OpenApiBuilder {
  const nowhere = { all: [], ofBucket: unreachable, close: async () => undefined };
  const payments = createPaymentRepo(nowhere);
  const log = createLogger('document', 'fatal');
  const settings = { url: 'http://localhost', apiKey: '', webhookSecret: '', timeoutMs: 1 };
  const start = {
    payments,
    booking: createBookingClient('http://localhost', ''),
    enqueue: unreachable,
    idSecret: '',
    log,
  };
  const webhooks = {
    providers: [createSandboxProvider(settings)],
    events: createWebhookRepo(nowhere),
    ring: unreachable,
    now: Date.now,
    log,
    count: unreachable,
  };
  return documentOf(apiRoutes({ start, payments, webhooks, deleteConcert: createReset(nowhere) }));
}

function unreachable(): never {
  throw new Error('The document has no service behind it.');
}
