import {
  type BeginReply,
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
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { json, type Route, route } from '@frontrow/shared/http/route.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { newUserId, randomHoldId } from '@frontrow/shared/ids.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import type { z } from 'zod';

export interface TestHold {
  id: string;
  userId: string;
  seats: number[];
  amountMinor: number;
  phase: 'held' | 'paying' | 'ended' | 'sold' | 'lost';
  attempt: number;
  /** What `begin` promises. */
  expiresAtMs: number;
  /** Somebody else has the seats. */
  taken: boolean;
  /** Whether MySQL would have it as it is. */
  durable: boolean;
}

const attemptsMax = 5;

/** A booking-service as far as payment-service sees it: the internal contract over HTTP, the holds in memory. */
export async function startTestBooking(serviceTokenSecret: string) {
  const holds = new Map<string, TestHold>();
  const calls: string[] = [];
  const server = new HttpServer({
    routes: routesOf(holds, calls),
    log: createLogger('test-booking', 'fatal'),
    metrics: new Metrics('test-booking'),
    serviceTokenSecret,
  });
  const port = await freePort();
  await server.listen('127.0.0.1', port);
  return {
    url: `http://127.0.0.1:${port}`,
    /** Calls in their order, such as `settle <id>`. */
    calls,
    newHold: (given: Partial<TestHold> = {}, concertId = 7): TestHold => {
      const hold: TestHold = {
        id: randomHoldId(concertId),
        userId: newUserId(),
        seats: [3, 4],
        amountMinor: 1_500_000,
        phase: 'held',
        attempt: 0,
        expiresAtMs: Date.now() + 60_000,
        taken: false,
        durable: true,
        ...given,
      };
      holds.set(hold.id, hold);
      return hold;
    },
    stop: () => server.drain(1_000),
  };
}

function routesOf(holds: Map<string, TestHold>, calls: string[]): Route[] {
  const internal = <B extends z.ZodType>(name: string, body: B, reply: z.ZodType, answer: Answer<z.infer<B>>): Route =>
    route({
      method: 'POST',
      path: `/internal/holds/:holdId/${name}`,
      operationId: name,
      summary: name,
      auth: 'service',
      params: bookingIdParams,
      body,
      replies: { 200: { description: 'the outcome', schema: reply } },
      errors: [],
      handler: ({ params, body: given }) => {
        calls.push(`${name} ${params.holdId}`);
        return json(200, reply.parse(answer(holds.get(params.holdId), given as z.infer<B>)));
      },
    });
  return [
    internal('begin', beginBody, beginReply, begin),
    internal('release-payment', releasePaymentBody, releasePaymentReply, releasePayment),
    internal('settle', settleBody, settleReply, settle),
    internal('cancel', cancelBody, cancelReply, cancel),
  ];
}

type Answer<B> = (hold: TestHold | undefined, body: B) => unknown;

function begin(hold: TestHold | undefined, { userId, attempt }: z.infer<typeof beginBody>): BeginReply {
  if (hold === undefined || hold.userId !== userId) return { outcome: 'not_found' };
  if (hold.phase === 'sold') return { outcome: 'already_paid' };
  if (hold.phase !== 'held' && hold.phase !== 'paying') return { outcome: 'hold_expired' };
  const isRepeat = hold.phase === 'paying' && attempt === hold.attempt;
  if (!isRepeat && attempt <= hold.attempt) return { outcome: 'stale_attempt' };
  if (attempt > attemptsMax) return { outcome: 'payment_attempts_exhausted' };
  hold.phase = 'paying';
  hold.attempt = attempt;
  const { seats, amountMinor, expiresAtMs } = hold;
  return { outcome: 'begun', seats, amountMinor, currency: 'IDR', expiresAt: new Date(expiresAtMs).toISOString() };
}

function releasePayment(hold: TestHold | undefined, { attempt }: z.infer<typeof releasePaymentBody>) {
  if (hold === undefined) return { outcome: 'not_found' };
  if (hold.attempt !== attempt || (hold.phase !== 'paying' && hold.phase !== 'held'))
    return { outcome: 'stale_attempt' };
  hold.phase = 'held';
  return { outcome: 'released' };
}

function settle(hold: TestHold | undefined, { seats, amountMinor }: z.infer<typeof settleBody>) {
  if (hold === undefined) return { outcome: 'lost', durable: true };
  if (seats.join() !== hold.seats.join() || amountMinor !== hold.amountMinor) throw new Error('not what was frozen');
  if (hold.phase !== 'sold')
    hold.phase = hold.phase === 'lost' || (hold.phase === 'ended' && hold.taken) ? 'lost' : 'sold';
  return { outcome: hold.phase, durable: hold.durable };
}

function cancel(hold: TestHold | undefined) {
  if (hold) hold.phase = 'lost';
  return { outcome: 'cancelled', durable: hold?.durable ?? true };
}
