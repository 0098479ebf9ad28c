import { z } from 'zod';
import { changeKinds } from './change.ts';
import {
  concertIdSchema,
  currencySchema,
  listQuery,
  moneyMinorSchema,
  page,
  scopedIdSchema,
  seatLabelSchema,
  timeSchema,
  userIdSchema,
} from './common.ts';
import { phaseSchema } from './hold.ts';

export const saleStateSchema = z.enum(['upcoming', 'open', 'paused', 'sold_out', 'closed']);
export type SaleState = z.infer<typeof saleStateSchema>;

export const concertListQuery = z.strictObject({
  ...listQuery,
  query: z.string().trim().min(1).max(100).optional(),
  city: z.string().trim().min(1).max(100).optional(),
  from: timeSchema.optional(),
  to: timeSchema.optional(),
  sort: z.enum(['startsAt', '-startsAt']).default('startsAt'),
});

const summaryShape = {
  id: concertIdSchema,
  name: z.string(),
  artist: z.string(),
  city: z.string(),
  venue: z.string(),
  startsAt: timeSchema,
  saleState: saleStateSchema,
  opensAt: timeSchema,
  closesAt: timeSchema,
  seatsTotal: z.number().int(),
  seatsLeft: z.number().int(),
  priceFromMinor: moneyMinorSchema,
  currency: currencySchema,
};
export const concertSummary = z.strictObject(summaryShape);
export const concertListReply = page(concertSummary);
export const concertReply = z.strictObject({
  ...summaryShape,
  holdTtlMs: z.number().int(),
  seatsPerHoldMax: z.number().int(),
  seatsPerUserMax: z.number().int(),
  layoutVersion: z.number().int(),
  sections: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      priceMinor: moneyMinorSchema,
      seatsTotal: z.number().int(),
      seatsLeft: z.number().int(),
    }),
  ),
});

export const layoutReply = z.strictObject({
  concertId: concertIdSchema,
  layoutVersion: z.number().int(),
  sections: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      priceMinor: moneyMinorSchema,
      rows: z.array(
        z.strictObject({
          label: z.string(),
          seats: z.array(
            z.strictObject({ index: z.number().int(), label: seatLabelSchema, x: z.number(), y: z.number() }),
          ),
        }),
      ),
    }),
  ),
});

export const seatmapReply = z.strictObject({
  concertId: concertIdSchema,
  layoutVersion: z.number().int(),
  version: z.number().int().meta({ description: 'epoch * 2^32 + n of the last change in it' }),
  states: z.string().meta({ description: 'one character a seat in index order: 0 free, 1 held, 2 sold, 3 blocked' }),
});

export const eventsQuery = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,7}-\d{1,15}$/, 'an event id, <epoch>-<n>')
    .optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
});
export const eventsReply = z.strictObject({
  items: z.array(
    z.strictObject({
      id: z.string(),
      version: z.number().int(),
      kind: z.enum(changeKinds),
      at: timeSchema,
      bookingId: scopedIdSchema.optional(),
      userId: userIdSchema.optional(),
      phase: phaseSchema.optional(),
      seats: z.array(seatLabelSchema).optional(),
    }),
  ),
});
