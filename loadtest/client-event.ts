import { scopedIdSchema, seatLabelSchema, timeSchema, userIdSchema } from '@frontrow/shared/contracts/common.ts';
import { z } from 'zod';

/**
 * What a virtual fan saw, one JSON line each: k6 writes it (scenarios/rush.ts), the audit compares it with what the system
 * says, the runner counts it. Short keys, because a rush writes ten thousand lines.
 */
const at = z.number().int().meta({ description: 'the client clock, ms' });

export const clientEvent = z.discriminatedUnion('e', [
  /** A 201: these seats were promised to this fan. */
  z.strictObject({
    e: z.literal('hold'),
    at,
    user: userIdSchema,
    id: scopedIdSchema,
    seats: z.array(seatLabelSchema).min(1),
    totalMinor: z.number().int(),
    expiresAt: timeSchema,
  }),
  /** A hold that was not given; `code` is the problem's code, or `no_answer`. */
  z.strictObject({ e: z.literal('refused'), at, code: z.string() }),
  /** The fan let the hold go. */
  z.strictObject({ e: z.literal('released'), at, id: scopedIdSchema }),
  /** A payment was accepted for processing (202). */
  z.strictObject({ e: z.literal('payment'), at, id: scopedIdSchema, payment: scopedIdSchema, method: z.string() }),
  z.strictObject({ e: z.literal('declined'), at, id: scopedIdSchema }),
  /** The booking was shown to the fan as confirmed. */
  z.strictObject({ e: z.literal('confirmed'), at, id: scopedIdSchema, payment: scopedIdSchema }),
  /** The fan is done. */
  z.strictObject({
    e: z.literal('fan'),
    at,
    outcome: z.enum(['bought', 'walked_away', 'let_go', 'found_no_seat', 'payment_open', 'payment_failed', 'error']),
  }),
  /** An answer that no fan should get: a 5xx, or a refusal that the scenario does not expect. */
  z.strictObject({ e: z.literal('unexpected'), at, call: z.string(), status: z.number().int(), code: z.string() }),
]);
export type ClientEvent = z.infer<typeof clientEvent>;
export type FanOutcome = Extract<ClientEvent, { e: 'fan' }>['outcome'];
