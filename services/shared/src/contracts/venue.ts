import { z } from 'zod';
import { limits } from '../limits.ts';
import { fail, ok, type Result } from '../result.ts';
import { currencySchema, moneyMinorSchema } from './common.ts';

/** The venue file: see db/README.md for what each part means and how a seat's place follows from it. */

/** Parts of a seat's label, so no dash and one case only. */
const labelPart = (max: number) =>
  z.string().regex(new RegExp(`^[A-Z0-9]{1,${max}}$`), `1 to ${max} capital letters or digits`);
const metres = z.number().min(-10_000).max(10_000);
const distance = z.number().min(0.3).max(10);
const rowLengthMax = 500;

const spacingSchema = z.strictObject({
  /** Between the middles of neighbouring seats. */
  seat: distance,
  /** Between a row and the next one behind it. */
  row: distance,
});

const aisleSchema = z.strictObject({
  /** The aisle lies behind this many seats of the row, counted from its first. */
  afterSeat: z.number().int().min(1).max(rowLengthMax),
  /** How far the seats stand apart on top of the usual distance. */
  widthM: z.number().positive().max(50),
});

const rowsSchema = z.strictObject({
  /** One label (`12`, `AA`), or a range of numbers or of single letters (`1-12`, `A-F`): one row each. */
  labels: z.string().regex(/^([A-Z0-9]{1,4}|\d{1,3}-\d{1,3}|[A-Z]-[A-Z])$/, 'a row label or a range of them'),
  seats: z.number().int().min(1).max(rowLengthMax),
  /** How many seats each further row of the range has more (or fewer) than the row before it. */
  seatsStep: z.number().int().min(-50).max(50).default(0),
  startNumber: z.number().int().min(0).max(9_000).default(1),
  /** Moves the rows sideways, towards higher seat numbers. */
  offsetM: metres.default(0),
  /** A cross aisle in front of the first of these rows. */
  gapBeforeM: z.number().min(0).max(100).default(0),
  aisles: z.array(aisleSchema).max(20).default([]),
});

const sectionSchema = z.strictObject({
  id: labelPart(8),
  name: z.string().trim().min(1).max(80),
  priceCategory: z.string(),
  /** The middle of the section's front row. The stage stands at 0, 0; y grows away from it. */
  position: z.strictObject({
    x: metres,
    y: metres,
    /** Where the rows go back to, in degrees: 0 is along y, 90 along x. */
    angle: z.number().min(-360).max(360).default(0),
  }),
  /** Radius of the front row; without it the rows are straight. */
  curveRadiusM: z.number().min(1).max(10_000).optional(),
  spacing: spacingSchema.optional(),
  rows: z.array(rowsSchema).min(1).max(200),
});

export const venueSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, '1 to 64 small letters, digits and dashes'),
  name: z.string().trim().min(1).max(120),
  city: z.string().trim().min(1).max(80),
  /** Raised with every change of the seats: what a version says is never changed. */
  layoutVersion: z.number().int().min(1).max(1_000_000),
  currency: currencySchema,
  spacing: spacingSchema,
  priceCategories: z
    .array(
      z.strictObject({ id: z.string().min(1).max(32), name: z.string().min(1).max(80), priceMinor: moneyMinorSchema }),
    )
    .min(1)
    .max(50),
  sections: z.array(sectionSchema).min(1).max(1_000),
  /** Labels of seats that are not for sale. */
  blocked: z.array(z.string()).max(limits.seatsPerConcertMax).default([]),
});
export type Venue = z.infer<typeof venueSchema>;
export type VenueSection = Venue['sections'][number];
export type VenueRows = VenueSection['rows'][number];

/**
 * Reads a venue file.
 * @returns the venue, or every fault with its path, such as `sections[2].rows[0].seats: Too small: ...`.
 */
export function validateVenue(json: unknown): Result<Venue, string[]> {
  const parsed = venueSchema.safeParse(json);
  if (!parsed.success) {
    return fail(parsed.error.issues.map((issue) => `${pathText(issue.path)}: ${issue.message}`));
  }
  const faults = [...duplicates(parsed.data), ...referenceFaults(parsed.data), ...sizeFaults(parsed.data)];
  // The blocked seats are looked up among all seats, which only a sound venue can list.
  if (faults.length === 0) faults.push(...blockedFaults(parsed.data));
  return faults.length === 0 ? ok(parsed.data) : fail(faults);
}

/** The labels that `rows.labels` stands for, front row first: `A-C` gives A, B, C. A backward range gives none. */
export function rowLabels(labels: string): string[] {
  const [from = '', to] = labels.split('-');
  if (to === undefined) return [from];
  const isNumeric = /^\d/.test(from);
  const first = isNumeric ? Number(from) : from.charCodeAt(0);
  const last = isNumeric ? Number(to) : to.charCodeAt(0);
  const count = Math.max(0, last - first + 1);
  return Array.from({ length: count }, (_, i) => (isNumeric ? String(first + i) : String.fromCharCode(first + i)));
}

/** Seats in the row of this position within its range. */
export const seatsInRow = (rows: VenueRows, position: number): number => rows.seats + position * rows.seatsStep;

/** The name of a seat, unique inside its venue. */
export const seatLabel = (sectionId: string, rowLabel: string, seatNumber: number): string =>
  `${sectionId}-${rowLabel}-${seatNumber}`;

function* duplicates(venue: Venue): Generator<string> {
  yield* repeated(venue.priceCategories.map(({ id }, i) => ({ name: id, path: `priceCategories[${i}].id` })));
  yield* repeated(venue.sections.map(({ id }, i) => ({ name: id, path: `sections[${i}].id` })));
  yield* repeated(venue.blocked.map((label, i) => ({ name: label, path: `blocked[${i}]` })));
  for (const [s, section] of venue.sections.entries()) {
    yield* repeated(
      section.rows.flatMap(({ labels }, r) =>
        rowLabels(labels).map((name) => ({ name, path: `sections[${s}].rows[${r}].labels` })),
      ),
    );
  }
}

function* repeated(items: readonly { name: string; path: string }[]): Generator<string> {
  const firstPath = new Map<string, string>();
  for (const { name, path } of items) {
    const first = firstPath.get(name);
    if (first === undefined) firstPath.set(name, path);
    else yield `${path}: "${name}" stands already in ${first}`;
  }
}

function* referenceFaults(venue: Venue): Generator<string> {
  const categories = new Set(venue.priceCategories.map(({ id }) => id));
  for (const [s, section] of venue.sections.entries()) {
    if (!categories.has(section.priceCategory)) {
      yield `sections[${s}].priceCategory: there is no price category "${section.priceCategory}"`;
    }
  }
}

function* sizeFaults(venue: Venue): Generator<string> {
  let seatCount = 0;
  for (const [s, section] of venue.sections.entries()) {
    for (const [r, rows] of section.rows.entries()) {
      const path = `sections[${s}].rows[${r}]`;
      const labels = rowLabels(rows.labels);
      if (labels.length === 0) yield `${path}.labels: the range "${rows.labels}" runs backwards`;
      const lengths = labels.map((_, position) => seatsInRow(rows, position));
      seatCount += lengths.reduce((sum, length) => sum + Math.max(length, 0), 0);
      const seatSpacingM = (section.spacing ?? venue.spacing).seat;
      yield* lengthFaults(path, rows, lengths);
      yield* circleFaults(path, section.curveRadiusM, rows, Math.max(...lengths) * seatSpacingM);
    }
  }
  if (seatCount > limits.seatsPerConcertMax) {
    yield `sections: ${seatCount} seats are more than ${limits.seatsPerConcertMax}`;
  }
}

function* lengthFaults(path: string, rows: VenueRows, lengths: readonly number[]): Generator<string> {
  const shortest = Math.min(...lengths);
  const longest = Math.max(...lengths);
  if (shortest < 1) yield `${path}.seatsStep: leaves a row without seats`;
  if (longest > rowLengthMax) yield `${path}.seatsStep: makes a row of ${longest} seats, more than ${rowLengthMax}`;
  for (const [a, { afterSeat }] of rows.aisles.entries()) {
    if (afterSeat >= shortest) yield `${path}.aisles[${a}].afterSeat: a row has only ${shortest} seats`;
  }
}

function* circleFaults(
  path: string,
  radiusM: number | undefined,
  rows: VenueRows,
  seatsWidthM: number,
): Generator<string> {
  const widthM = rows.aisles.reduce((sum, aisle) => sum + aisle.widthM, seatsWidthM);
  // Measured on the front row, the smallest circle of the section: rows behind it have more room.
  if (radiusM !== undefined && widthM > 2 * Math.PI * radiusM) {
    yield `${path}.seats: the row is longer than the circle it stands on`;
  }
}

function* blockedFaults(venue: Venue): Generator<string> {
  if (venue.blocked.length === 0) return;
  const labels = new Set<string>();
  for (const section of venue.sections) {
    for (const rows of section.rows) {
      for (const [position, label] of rowLabels(rows.labels).entries()) {
        for (let seat = 0; seat < seatsInRow(rows, position); seat++) {
          labels.add(seatLabel(section.id, label, rows.startNumber + seat));
        }
      }
    }
  }
  for (const [b, label] of venue.blocked.entries()) {
    if (!labels.has(label)) yield `blocked[${b}]: there is no seat "${label}"`;
  }
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text === '' ? '(the file)' : text.replace(/^\./, '');
}
