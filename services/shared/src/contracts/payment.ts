import { z } from 'zod';
import { currencySchema, moneyMinorSchema, scopedIdSchema } from './common.ts';

export const paymentStatusSchema = z.enum(['pending', 'failed', 'captured', 'completed', 'refunding', 'refunded']);
export type PaymentStatus = z.infer<typeof paymentStatusSchema>;

export const paymentBody = z.strictObject({
  bookingId: scopedIdSchema,
  paymentMethod: z.string().regex(/^pm_[a-z0-9_]{1,48}$/, 'a payment method token of the provider, pm_…'),
});
/** Outside, `captured` is shown as `pending` and `refunding` as `completed` (architecture: the payment table). */
export const paymentReply = z.strictObject({
  id: scopedIdSchema,
  bookingId: scopedIdSchema,
  status: z.enum(['pending', 'failed', 'completed', 'refunded']),
  amountMinor: moneyMinorSchema,
  currency: currencySchema,
  attempt: z.number().int(),
  failure: z.strictObject({ code: z.string(), detail: z.string() }).optional(),
});
