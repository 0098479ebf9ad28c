import { createHmac, timingSafeEqual } from 'node:crypto';
import { problemSchema } from '@frontrow/shared/contracts/common.ts';
import {
  type Charge,
  chargeReply,
  refundReply,
  webhookEvent,
  webhookSignatureHeader,
} from '@frontrow/shared/contracts/provider.ts';
import { callJson } from '@frontrow/shared/http/client.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { fail, ok } from '@frontrow/shared/result.ts';
import type { ChargeAnswer, Failure, PaymentProvider } from './provider.ts';

interface SandboxOptions {
  url: string;
  apiKey: string;
  webhookSecret: string;
  /** A call without an answer after this time is `silent`. */
  timeoutMs: number;
}

/** The sandbox provider over HTTP. */
export function createSandboxProvider(options: SandboxOptions): PaymentProvider {
  const call = createCall(options);
  return {
    name: 'sandbox',
    webhookHeader: webhookSignatureHeader,
    charge: async ({ about, ...request }) =>
      asCharge(await call('POST', '/v1/charges', { ...request, metadata: about })),
    lookUp: async (key) => asCharge(await call('GET', `/v1/charges/${encodeURIComponent(key)}`)),
    void: async (key, about) =>
      asCharge(await call('POST', `/v1/charges/${encodeURIComponent(key)}/void`, { metadata: about })),
    refund: async (request) => {
      const reply = await call('POST', '/v1/refunds', request);
      if (reply === null) return { answer: 'silent' };
      if (!reply.ok) throw new Error(`The provider refused a refund: ${JSON.stringify(failureOf(reply.body))}`);
      return { answer: 'succeeded', refundId: refundReply.parse(reply.body).id };
    },
    readWebhook: (rawBody, signature, nowMs) => {
      if (!isSigned(options.webhookSecret, rawBody, signature, nowMs)) return fail('bad_signature');
      const event = webhookEvent.safeParse(jsonOf(rawBody.toString('utf8')));
      if (!event.success) return fail('malformed');
      const { id, type, data } = event.data;
      return ok({ id, type, chargeKey: data.charge.key });
    },
  };
}

type Answer = { ok: boolean; status: number; body: unknown } | null;

/** @returns null when there was no answer in time, or one that says nothing about the call (5xx, 429). */
function createCall({ url, apiKey, timeoutMs }: SandboxOptions) {
  return async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> => {
    let answer: { status: number; text: string };
    try {
      answer = await callJson({
        method,
        url: `${url}${path}`,
        headers: { authorization: `Bearer ${apiKey}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        timeoutMs,
      });
    } catch {
      return null;
    }
    const { status, text } = answer;
    if (status >= 500 || status === 429) return null;
    if (status === 401 || status === 403) throw new Error('The provider does not accept our key.');
    return { ok: status < 300, status, body: jsonOf(text) };
  };
}

function asCharge(reply: Answer): ChargeAnswer {
  if (reply === null) return { answer: 'silent' };
  if (reply.ok) return answerOf(chargeReply.parse(reply.body));
  if (reply.status === 404) return { answer: 'unknown' };
  return { answer: 'refused', failure: failureOf(reply.body) };
}

function answerOf({ id, status, amountMinor, failure }: Charge): ChargeAnswer {
  if (status !== 'declined') return { answer: status, chargeId: id, amountMinor };
  return {
    answer: status,
    chargeId: id,
    amountMinor,
    failure: failure ?? { code: 'declined', detail: 'The payment was declined.' },
  };
}

function failureOf(body: unknown): Failure {
  const problem = problemSchema.safeParse(body);
  return problem.success
    ? { code: problem.data.code, detail: problem.data.detail }
    : { code: 'refused', detail: 'The provider does not take this payment.' };
}

const signaturePattern = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

function isSigned(secret: string, rawBody: Buffer, signature: string, nowMs: number): boolean {
  const [, seconds = '', hex = ''] = signaturePattern.exec(signature) ?? [];
  if (seconds === '') return false;
  const expected = createHmac('sha256', secret).update(`${seconds}.`).update(rawBody).digest();
  // The age is part of what is signed, so an old delivery cannot be made young.
  const ageMs = Math.abs(nowMs - Number(seconds) * 1_000);
  return timingSafeEqual(expected, Buffer.from(hex, 'hex')) && ageMs <= limits.webhookToleranceMs;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
