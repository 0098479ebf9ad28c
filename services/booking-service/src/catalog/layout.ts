import type { layoutReply } from '@frontrow/shared/contracts/concert.ts';
import {
  rowLabels,
  seatLabel,
  seatsInRow,
  type Venue,
  type VenueRows,
  type VenueSection,
} from '@frontrow/shared/contracts/venue.ts';
import type { z } from 'zod';

export type LayoutSection = z.infer<typeof layoutReply>['sections'][number];
type LayoutRow = LayoutSection['rows'][number];

/** Every seat of a venue under its dense index, 0..seatCount-1, in the order of the venue file. */
export interface SeatLayout {
  readonly layoutVersion: number;
  readonly seatCount: number;
  readonly currency: string;
  /** The cheapest seat that is for sale; 0 when none is. */
  readonly priceFromMinor: number;
  readonly sections: readonly LayoutSection[];
  readonly labels: readonly string[];
  readonly seatIndexByLabel: ReadonlyMap<string, number>;
  readonly priceMinorByIndex: Float64Array;
  /** Position in `sections`. */
  readonly sectionByIndex: Uint16Array;
  /** Seats that are not for sale, ascending. */
  readonly blockedIndexes: readonly number[];
}

/**
 * Lays out every seat of a venue.
 * @param venue as `validateVenue` gave it: nothing is checked here again.
 */
export function expandLayout(venue: Venue): SeatLayout {
  const priceByCategory = new Map(venue.priceCategories.map(({ id, priceMinor }) => [id, priceMinor]));
  let seatCount = 0;
  const sections = venue.sections.map((section): LayoutSection => {
    const rows = expandRows(section, section.spacing ?? venue.spacing, seatCount);
    seatCount += rows.reduce((sum, row) => sum + row.seats.length, 0);
    return { id: section.id, name: section.name, priceMinor: priceByCategory.get(section.priceCategory) ?? 0, rows };
  });
  return {
    layoutVersion: venue.layoutVersion,
    seatCount,
    currency: venue.currency,
    sections,
    ...lookups(sections, seatCount, venue.blocked),
  };
}

function lookups(sections: readonly LayoutSection[], seatCount: number, blocked: readonly string[]) {
  const labels: string[] = [];
  const seatIndexByLabel = new Map<string, number>();
  const priceMinorByIndex = new Float64Array(seatCount);
  const sectionByIndex = new Uint16Array(seatCount);
  for (const [position, section] of sections.entries()) {
    for (const { seats } of section.rows) {
      for (const { index, label } of seats) {
        labels.push(label);
        seatIndexByLabel.set(label, index);
        priceMinorByIndex[index] = section.priceMinor;
        sectionByIndex[index] = position;
      }
    }
  }
  const blockedIndexes = blocked.flatMap((label) => seatIndexByLabel.get(label) ?? []).sort((a, b) => a - b);
  const notForSale = new Set(blockedIndexes);
  const cheapest = priceMinorByIndex.reduce(
    (least, price, index) => (price < least && !notForSale.has(index) ? price : least),
    Number.POSITIVE_INFINITY,
  );
  const priceFromMinor = Number.isFinite(cheapest) ? cheapest : 0;
  return { labels, seatIndexByLabel, priceMinorByIndex, sectionByIndex, blockedIndexes, priceFromMinor };
}

/** The rows of a section, front row first. */
function expandRows(section: VenueSection, spacing: Venue['spacing'], firstIndex: number): LayoutRow[] {
  const expanded: LayoutRow[] = [];
  let index = firstIndex;
  let depthM = 0;
  for (const rows of section.rows) {
    depthM += rows.gapBeforeM;
    for (const [position, label] of rowLabels(rows.labels).entries()) {
      const seats = sidewaysM(rows, seatsInRow(rows, position), spacing.seat).map((sideM, i) => ({
        index: index++,
        label: seatLabel(section.id, label, rows.startNumber + i),
        ...placeOf(section, sideM, depthM),
      }));
      expanded.push({ label, seats });
      depthM += spacing.row;
    }
  }
  return expanded;
}

/** How far each seat of a row stands from the row's middle, lowest number first. */
function sidewaysM(rows: VenueRows, seatCount: number, spacingM: number): number[] {
  const aislesBefore = (seat: number) =>
    rows.aisles.reduce((sum, { afterSeat, widthM }) => (afterSeat <= seat ? sum + widthM : sum), 0);
  const widthM = (seatCount - 1) * spacingM + aislesBefore(seatCount);
  return Array.from(
    { length: seatCount },
    (_, seat) => seat * spacingM + aislesBefore(seat) - widthM / 2 + rows.offsetM,
  );
}

/** The place of a seat on the plan, in metres, rounded to centimetres. Curved rows are arcs around one common centre. */
function placeOf({ position, curveRadiusM }: VenueSection, sideM: number, depthM: number): { x: number; y: number } {
  let along = sideM;
  let back = depthM;
  if (curveRadiusM !== undefined) {
    const radiusM = curveRadiusM + depthM;
    const turn = sideM / radiusM;
    along = radiusM * Math.sin(turn);
    back = radiusM * Math.cos(turn) - curveRadiusM;
  }
  const angle = (position.angle * Math.PI) / 180;
  return {
    x: toCentimetres(position.x + along * Math.cos(angle) + back * Math.sin(angle)),
    y: toCentimetres(position.y - along * Math.sin(angle) + back * Math.cos(angle)),
  };
}

/** Adding 0 turns -0 into 0: they differ in no JSON, but in comparisons. */
const toCentimetres = (value: number): number => Math.round(value * 100) / 100 + 0;
