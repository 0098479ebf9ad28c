import { createHash, timingSafeEqual } from 'node:crypto';
import { problemSchema } from '@frontrow/shared/contracts/common.ts';
import {
  chargeBody,
  chargeReply,
  clearLedgerQuery,
  clearLedgerReply,
  keyParams,
  ledgerQuery,
  ledgerReply,
  paymentMethodsReply,
  refundBody,
  refundReply,
  voidBody,
} from '@frontrow/shared/contracts/provider.ts';
import { bearerToken } from '@frontrow/shared/http/auth.ts';
import { buildOpenApi } from '@frontrow/shared/http/openapi.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Reply, type Route, route } from '@frontrow/shared/http/route.ts';
import { z } from 'zod';
import { documentedMethods } from './charge/methods.ts';
import type { Provider, RefundRefusal } from './charge/provider.ts';

type Operations = Pick<Provider, 'charge' | 'find' | 'voidKey' | 'refund' | 'findRefund' | 'page' | 'clear'>;

export interface Dependencies {
  provider: Operations;
  apiKey: string;
  /** Forgetting money is for development and tests. */
  mayClear: boolean;
}

export function sandboxRoutes({ provider, apiKey, mayClear }: Dependencies): Route[] {
  return [...chargeRoutes(provider), ...refundRoutes(provider), ...ledgerRoutes(provider, mayClear)].map((one) =>
    withApiKey(one, apiKey),
  );
}

function chargeRoutes(provider: Operations): Route[] {
  const charge = { 200: { description: 'The charge', schema: chargeReply } };
  return [
    route({
      method: 'POST',
      path: '/v1/charges',
      operationId: 'createCharge',
      summary: 'Charge a payment method, once per key. Declined and voided charges are answers, not errors.',
      auth: 'none',
      body: chargeBody,
      replies: charge,
      errors: ['idempotency_key_reused'],
      handler: async ({ body }) => {
        const charged = await provider.charge(body);
        if (charged.ok) return json(200, charged.value);
        // `no_reply`: whoever still waits after the longest silence is told to ask again.
        return problem(charged.failure === 'no_reply' ? 'unavailable' : charged.failure);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/charges/:key',
      operationId: 'readCharge',
      summary: 'The charge of a key; 404 when none was ever recorded',
      auth: 'none',
      params: keyParams,
      replies: charge,
      errors: ['not_found'],
      handler: async ({ params }) => {
        const found = await provider.find(params.key);
        return found === null ? problem('not_found') : json(200, found);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/charges/:key/void',
      operationId: 'voidCharge',
      summary:
        'Let no money move under this key. An unknown or pending charge becomes voided; a decided one is answered as it is.',
      auth: 'none',
      params: keyParams,
      body: voidBody,
      replies: charge,
      errors: [],
      handler: async ({ params, body }) => json(200, await provider.voidKey(params.key, body.metadata)),
    }),
  ];
}

function refundRoutes(provider: Operations): Route[] {
  const refund = { 200: { description: 'The refund', schema: refundReply } };
  return [
    route({
      method: 'POST',
      path: '/v1/refunds',
      operationId: 'createRefund',
      summary: 'Give money of a succeeded charge back, once per key',
      auth: 'none',
      body: refundBody,
      replies: {
        ...refund,
        409: {
          description:
            '`idempotency_key_reused`; `charge_not_captured`; `refund_exceeds_charge`: more than is left of the charge',
          schema: problemSchema,
          contentType: 'application/problem+json',
        },
      },
      errors: ['not_found'],
      handler: async ({ body }) => {
        const refunded = await provider.refund(body);
        return refunded.ok ? json(200, refunded.value) : refundProblem(refunded.failure);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/refunds/:key',
      operationId: 'readRefund',
      summary: 'The refund of a key; 404 when there is none',
      auth: 'none',
      params: keyParams,
      replies: refund,
      errors: ['not_found'],
      handler: async ({ params }) => {
        const found = await provider.findRefund(params.key);
        return found === null ? problem('not_found') : json(200, found);
      },
    }),
  ];
}

function ledgerRoutes(provider: Operations, mayClear: boolean): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/ledger',
      operationId: 'readLedger',
      summary: 'Every charge with its refunds, in the order of the charges',
      auth: 'none',
      query: ledgerQuery,
      replies: { 200: { description: 'A page', schema: ledgerReply } },
      errors: [],
      handler: async ({ query }) =>
        json(200, await provider.page(query.concertId, Number(query.cursor ?? 0), query.limit)),
    }),
    route({
      method: 'DELETE',
      path: '/v1/ledger',
      operationId: 'clearLedger',
      summary: 'Forget every charge of a concert (development and tests only)',
      auth: 'none',
      query: clearLedgerQuery,
      replies: { 200: { description: 'How many charges are forgotten', schema: clearLedgerReply } },
      errors: ['forbidden'],
      handler: async ({ query: { concertId } }) =>
        mayClear ? json(200, { concertId, removed: await provider.clear(concertId) }) : problem('forbidden'),
    }),
    route({
      method: 'GET',
      path: '/v1/payment-methods',
      operationId: 'listPaymentMethods',
      summary: 'The test payment methods and what each does',
      auth: 'none',
      replies: { 200: { description: 'The list', schema: paymentMethodsReply } },
      errors: [],
      handler: () => json(200, { items: documentedMethods }),
    }),
  ];
}

const refundProblems: Readonly<Record<'charge_not_captured' | 'refund_exceeds_charge', string>> = {
  charge_not_captured: 'Only a succeeded charge can be refunded.',
  refund_exceeds_charge: 'That is more than is left of the charge.',
};

/** The provider has refusals of its own: it is another company's system, and Frontrow's table of errors is not its. */
function refundProblem(refusal: RefundRefusal): Reply {
  if (refusal === 'not_found' || refusal === 'idempotency_key_reused') return problem(refusal);
  const title = refundProblems[refusal];
  return {
    status: 409,
    headers: { 'content-type': 'application/problem+json' },
    body: {
      type: `/docs#${refusal}`,
      title,
      status: 409,
      code: refusal,
      detail: title,
      requestId: '',
      retryable: false,
    },
  };
}

const apiKeyHeaders = z.object({ authorization: z.string().max(1_000).optional() });

function withApiKey(one: Route, apiKey: string): Route {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(apiKey);
  return {
    ...one,
    headers: apiKeyHeaders,
    errors: [...one.errors, 'unauthenticated'],
    handler: (request) => {
      const { authorization = '' } = apiKeyHeaders.parse(request.headers);
      // Digests have one length, so the comparison takes the same time whatever was sent.
      const isKnown = timingSafeEqual(digest(bearerToken(authorization)), expected);
      return isKnown
        ? one.handler(request)
        : problem('unauthenticated', { detail: 'Send the API key as a bearer token.' });
    },
  };
}

/** OpenAPI of the provider, made without a ledger. */
export function apiDocument() {
  const methods = documentedMethods.map(({ paymentMethod, behaviour }) => `- \`${paymentMethod}\` ${behaviour}`);
  const description = `A payment provider for development and tests. Webhooks are signed with \`sandbox-signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<raw body>")>\` and repeated a bounded number of times until they are answered with 2xx; each event keeps its id.\n\nTest payment methods:\n${methods.join('\n')}`;
  const unused = () => {
    throw new Error('This is for the document only.');
  };
  const provider: Operations = {
    charge: unused,
    find: unused,
    voidKey: unused,
    refund: unused,
    findRefund: unused,
    page: unused,
    clear: unused,
  };
  const builder = buildOpenApi(
    'Sandbox payment provider',
    description,
    sandboxRoutes({ provider, apiKey: '', mayClear: true }),
  );
  builder.addSecurityScheme('apiKey', { type: 'http', scheme: 'bearer', description: 'SANDBOX_API_KEY' });
  builder.rootDoc.security = [{ apiKey: [] }];
  return builder;
}
