import { z } from 'zod';
import { concertIdMax, isConcertScopedId, isUuid } from '../ids.ts';
import { limits } from '../limits.ts';

/** The shapes that every contract is made of. */
export const concertIdSchema = z.number().int().min(1).max(concertIdMax);
export const concertIdParam = z
  .string()
  .regex(/^[1-9]\d{0,9}$/, 'a positive 32-bit number')
  .transform(Number)
  .refine((id) => id <= concertIdMax, 'a positive 32-bit number');
export const scopedIdSchema = z.string().refine(isConcertScopedId, 'a UUIDv8 of this system').meta({ format: 'uuid' });
export const userIdSchema = z.string().refine(isUuid, 'a UUID').meta({ format: 'uuid' });
export const timeSchema = z.iso.datetime().meta({ format: 'date-time' });
export const moneyMinorSchema = z.number().int().min(0).max(1e15);
export const currencySchema = z.string().regex(/^[A-Z]{3}$/, 'an ISO 4217 code');
export const seatLabelSchema = z.string().min(1).max(32);
/** Visible ASCII, so that it survives every hop unchanged. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'visible ASCII characters without spaces')
  .max(limits.idempotencyKeyLengthMax);
export const listQuery = {
  limit: z.coerce.number().int().min(1).max(limits.listLimitMax).default(limits.listLimitDefault),
  cursor: z.string().max(200).optional(),
};
export const page = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().nullable() });

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.string(),
    detail: z.string(),
    requestId: z.string(),
    retryable: z.boolean(),
    errors: z.array(z.strictObject({ path: z.string(), code: z.string(), message: z.string() })).optional(),
    conflicts: z
      .array(seatLabelSchema)
      .optional()
      .meta({ description: '`seats_taken`: those of the seats that are not free' }),
    opensAt: timeSchema.optional().meta({ description: '`sale_not_open`: when it opens' }),
  })
  .meta({ description: 'RFC 9457 problem details' });
