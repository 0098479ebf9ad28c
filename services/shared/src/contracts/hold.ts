import { z } from 'zod';
import { limits } from '../limits.ts';
import {
  concertIdSchema,
  currencySchema,
  listQuery,
  moneyMinorSchema,
  page,
  scopedIdSchema,
  seatLabelSchema,
  timeSchema,
} from './common.ts';

export const holdBody = z.strictObject({
  seats: z
    .array(seatLabelSchema)
    .min(1)
    .max(limits.seatsPerHoldMax)
    .refine((seats) => new Set(seats).size === seats.length, 'each seat once'),
});
const holdShape = {
  id: scopedIdSchema,
  concertId: concertIdSchema,
  seats: z.array(seatLabelSchema),
  expiresAt: timeSchema,
  totalMinor: moneyMinorSchema,
  currency: currencySchema,
};
export const holdReply = z.strictObject(holdShape);
/** The phases of a hold; `hold.ts` of booking-service has the table of moves between them. */
export const phaseSchema = z.enum(['held', 'paying', 'sold', 'ended', 'lost']);
export type Phase = z.infer<typeof phaseSchema>;
export const holdDetailReply = z.strictObject({ ...holdShape, phase: phaseSchema });

export const bookingStatusSchema = z.enum(['pending', 'confirmed', 'cancelled']);
export type BookingStatus = z.infer<typeof bookingStatusSchema>;
/** What a phase is called outside: a booking's status follows from its phase and from nothing else. */
export const statusOfPhase: Readonly<Record<Phase, BookingStatus>> = {
  held: 'pending',
  paying: 'pending',
  sold: 'confirmed',
  ended: 'cancelled',
  lost: 'cancelled',
};
export const bookingReply = z.strictObject({
  id: scopedIdSchema,
  concertId: concertIdSchema,
  status: bookingStatusSchema,
  seats: z.array(seatLabelSchema),
  totalMinor: moneyMinorSchema,
  currency: currencySchema,
  expiresAt: timeSchema.nullable(),
  createdAt: timeSchema,
});
export const bookingListQuery = z.strictObject(listQuery);
export const bookingListReply = page(bookingReply);
