import { z } from 'zod';
import { limits } from '../limits.ts';
import { concertIdSchema } from './common.ts';
import { internalUserBody } from './user.ts';

/** The files of db/seed: what a new installation shows. Times count in minutes from the first start. */

const keySchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'small letters, digits and dashes');
const minutes = z.number().int();

const seedVenue = z.strictObject({
  id: keySchema,
  /** Name of a file in db/venues, without its ending. */
  file: keySchema,
  /** Instead of the file's own: a house of the same shape in another city. */
  name: z.string().trim().min(1).max(120).optional(),
  city: z.string().trim().min(1).max(80).optional(),
});

const seedConcert = z
  .strictObject({
    /** A short name for command lines, such as `--concert theatre`. */
    key: keySchema,
    id: concertIdSchema,
    name: z.string().trim().min(1).max(120),
    artist: z.string().trim().min(1).max(120),
    venue: keySchema,
    startsInMinutes: minutes,
    opensInMinutes: minutes,
    closesInMinutes: minutes,
    saleOverride: z.enum(['none', 'paused', 'closed']).default('none'),
    holdTtlMs: z.number().int().min(limits.holdTtlMsMin).max(limits.holdTtlMsMax).default(limits.holdTtlMsDefault),
    seatsPerUserMax: z.number().int().min(1).max(limits.seatsPerUserMaxMax).default(limits.seatsPerUserMaxDefault),
    /** Part of the seats that is already sold, 0..1. */
    sellTo: z.number().min(0).max(1).default(0),
  })
  .refine(({ opensInMinutes, closesInMinutes }) => closesInMinutes > opensInMinutes, {
    path: ['closesInMinutes'],
    message: 'must be later than opensInMinutes',
  });

export const seedConcertsSchema = z
  .strictObject({ venues: z.array(seedVenue).min(1), concerts: z.array(seedConcert).min(1) })
  .superRefine(({ venues, concerts }, context) => {
    const venueIds = new Set(venues.map(({ id }) => id));
    const fault = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    for (const [i, { venue }] of concerts.entries()) {
      if (!venueIds.has(venue)) fault(['concerts', i, 'venue'], `there is no venue "${venue}"`);
    }
    for (const field of ['key', 'id'] as const) {
      if (new Set(concerts.map((concert) => concert[field])).size < concerts.length) {
        fault(['concerts'], `two concerts have the same ${field}`);
      }
    }
    if (venueIds.size < venues.length) fault(['venues'], 'two venues have the same id');
  });
export type SeedConcerts = z.infer<typeof seedConcertsSchema>;

/** Accounts to try the system with; their passwords are public, so they are made in development only. */
export const seedUsersSchema = z.strictObject({ about: z.string(), users: z.array(internalUserBody).min(1) });
export type SeedUsers = z.infer<typeof seedUsersSchema>;
