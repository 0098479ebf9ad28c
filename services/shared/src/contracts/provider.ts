import { z } from 'zod';
import {
  concertIdParam,
  concertIdSchema,
  currencySchema,
  moneyMinorSchema,
  page,
  scopedIdSchema,
  timeSchema,
} from './common.ts';

/**
 * The API of the sandbox payment provider, a server of its own. payment-service's client and the provider use these same
 * schemas; the audit reads the ledger through them. Every call carries `Authorization: Bearer <SANDBOX_API_KEY>`.
 */
export const providerKeySchema = z.string().regex(/^[A-Za-z0-9:_.-]{1,128}$/, 'letters, digits and : _ . -');
export const chargeStatusSchema = z.enum(['pending', 'succeeded', 'declined', 'voided']);
export type ChargeStatus = z.infer<typeof chargeStatusSchema>;

/** What the merchant wants to find again in the ledger. */
export const chargeMetadataSchema = z.strictObject({
  concertId: concertIdSchema,
  paymentId: scopedIdSchema,
  bookingId: scopedIdSchema,
});

/** The same key and body again: the same charge. The same key with another body: 409. */
export const chargeBody = z.strictObject({
  key: providerKeySchema,
  amountMinor: moneyMinorSchema,
  currency: currencySchema,
  paymentMethod: z.string().min(1).max(64),
  metadata: chargeMetadataSchema,
});
export type ChargeBody = z.infer<typeof chargeBody>;

export const chargeReply = z.strictObject({
  id: z.string().regex(/^ch_[0-9a-f]{24}$/),
  key: providerKeySchema,
  status: chargeStatusSchema,
  /** 0 XXX and no payment method when the key was voided before any charge came. */
  amountMinor: moneyMinorSchema,
  currency: currencySchema,
  paymentMethod: z.string().nullable(),
  metadata: chargeMetadataSchema,
  /** Present when it was declined. */
  failure: z.strictObject({ code: z.string(), detail: z.string() }).optional(),
  createdAt: timeSchema,
});
export type Charge = z.infer<typeof chargeReply>;

/** A key that was never seen becomes a voided charge under this metadata; for a known one the body only has to be valid. */
export const voidBody = z.strictObject({ metadata: chargeMetadataSchema });

export const refundBody = z.strictObject({
  key: providerKeySchema,
  chargeId: chargeReply.shape.id,
  amountMinor: moneyMinorSchema.min(1),
});
export type RefundBody = z.infer<typeof refundBody>;
export const refundReply = z.strictObject({
  id: z.string().regex(/^re_[0-9a-f]{24}$/),
  key: providerKeySchema,
  chargeId: chargeReply.shape.id,
  status: z.literal('succeeded'),
  amountMinor: moneyMinorSchema,
  currency: currencySchema,
  createdAt: timeSchema,
});
export type Refund = z.infer<typeof refundReply>;

export const keyParams = z.strictObject({ key: providerKeySchema });

export const ledgerQuery = z.strictObject({
  concertId: concertIdParam.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'a nextCursor of this ledger')
    .optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
/** In the order of the first charges. */
export const ledgerReply = page(chargeReply.extend({ refunds: z.array(refundReply) }));
export type LedgerItem = z.infer<typeof ledgerReply>['items'][number];
export const clearLedgerQuery = z.strictObject({ concertId: concertIdParam });
export const clearLedgerReply = z.strictObject({ concertId: concertIdSchema, removed: z.number().int() });

export const paymentMethodsReply = z.strictObject({
  items: z.array(z.strictObject({ paymentMethod: z.string(), behaviour: z.string() })),
});

/** `t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<raw body>")>`; each delivery of an event is signed anew. */
export const webhookSignatureHeader = 'sandbox-signature';
export const webhookTypeSchema = z.enum(['charge.pending', 'charge.succeeded', 'charge.declined', 'refund.succeeded']);
export const webhookEvent = z.strictObject({
  /** The same in every delivery of this event. */
  id: z.string().regex(/^evt_[0-9a-f]{24}$/),
  type: webhookTypeSchema,
  createdAt: timeSchema,
  /** The charge as it stands; for `refund.succeeded` also the refund. */
  data: z.strictObject({ charge: chargeReply, refund: refundReply.optional() }),
});
export type WebhookEvent = z.infer<typeof webhookEvent>;
