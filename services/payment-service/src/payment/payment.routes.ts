import { idempotencyKeySchema, scopedIdSchema } from '@frontrow/shared/contracts/common.ts';
import { paymentBody, paymentReply } from '@frontrow/shared/contracts/payment.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { z } from 'zod';
import type { Payment, PaymentRepo } from './payment.repo.ts';
import { type StartDeps, startPayment } from './payment.start.ts';
import { shownStatus } from './payment.ts';

export interface PaymentRoutesDeps {
  start: StartDeps;
  payments: Pick<PaymentRepo, 'read'>;
}

export function paymentRoutes({ start, payments }: PaymentRoutesDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/payments',
      operationId: 'startPayment',
      summary:
        'Pay for a hold. The answer comes before the money moves: read the payment, or wait for the booking event.',
      auth: 'user',
      headers: z.object({ 'idempotency-key': idempotencyKeySchema }),
      body: paymentBody,
      replies: { 202: { description: 'taken; the same key and body again get the same answer', schema: paymentReply } },
      errors: [
        'not_found',
        'hold_expired',
        'already_paid',
        'payment_pending',
        'payment_attempts_exhausted',
        'idempotency_key_reused',
      ],
      handler: async ({ identity, headers, body }) => {
        if (identity === null) return problem('unauthenticated');
        const started = await startPayment(start, {
          userId: identity.userId,
          bookingId: body.bookingId,
          paymentMethod: body.paymentMethod,
          idempotencyKey: headers['idempotency-key'],
        });
        if (!started.ok) return problem(started.failure);
        return json(202, started.value, { location: `/api/payments/${started.value.id}` });
      },
    }),
    route({
      method: 'GET',
      path: '/api/payments/:paymentId',
      operationId: 'getPayment',
      summary: 'A payment of your own',
      auth: 'user',
      params: z.strictObject({ paymentId: scopedIdSchema }),
      replies: { 200: { description: 'the payment as it stands', schema: paymentReply } },
      errors: ['not_found'],
      handler: async ({ identity, params }) => {
        const payment = await payments.read(params.paymentId);
        return payment === null || payment.userId !== identity?.userId
          ? problem('not_found')
          : json(200, shown(payment));
      },
    }),
  ];
}

const shown = (payment: Payment): z.infer<typeof paymentReply> => ({
  id: payment.id,
  bookingId: payment.bookingId,
  status: shownStatus[payment.status],
  amountMinor: payment.amountMinor,
  currency: payment.currency,
  attempt: payment.attempt,
  ...(payment.status === 'failed' && payment.failure !== null && { failure: payment.failure }),
});
