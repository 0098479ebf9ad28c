import { readFileSync } from 'node:fs';
import { rowLabels, seatsInRow, type Venue, validateVenue } from '@frontrow/shared/contracts/venue.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expandLayout, type LayoutSection } from './layout.ts';

const venueFile = (id: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../db/venues/${id}.json`, import.meta.url), 'utf8'));

describe.each([
  ['club', 300],
  ['theatre', 1_200],
  ['arena', 12_000],
  ['stadium', 50_000],
])('the %s', (id, seatCount) => {
  const layout = expandLayout(valid(venueFile(id)));

  test(`has ${seatCount} seats under dense indexes and unique labels`, () => {
    expect(layout.seatCount).toBe(seatCount);
    expect(layout.labels).toHaveLength(seatCount);
    expect(layout.seatIndexByLabel.size).toBe(seatCount);
    expect(seatsOf(layout.sections).map(({ index }) => index)).toEqual([...Array(seatCount).keys()]);
  });

  test('has no two seats closer than half a metre', () => {
    expect(closest(seatsOf(layout.sections))).toBeGreaterThanOrEqual(0.5);
  });

  test('has every seat in front of or beside the stage', () => {
    const depths = seatsOf(layout.sections).map(({ x, y }) => Math.hypot(x, y));
    expect(Math.min(...depths)).toBeGreaterThan(3);
  });

  test('has labels that fit their column', () => {
    expect(Math.max(...layout.labels.map((label) => label.length))).toBeLessThanOrEqual(32);
  });
});

describe('expandLayout', () => {
  test('lays straight rows out around their middle, aisles left open', () => {
    const layout = expandLayout(
      hall([
        { labels: '1-2', seats: 4, aisles: [{ afterSeat: 2, widthM: 1 }] },
        { labels: '3', seats: 2, offsetM: 0.5, gapBeforeM: 1, startNumber: 7 },
      ]),
    );
    expect(layout.sections).toEqual([
      {
        id: 'A',
        name: 'Stalls',
        priceMinor: 75_000_000,
        rows: [
          {
            label: '1',
            seats: [
              { index: 0, label: 'A-1-1', x: -2, y: 5 },
              { index: 1, label: 'A-1-2', x: -1, y: 5 },
              { index: 2, label: 'A-1-3', x: 1, y: 5 },
              { index: 3, label: 'A-1-4', x: 2, y: 5 },
            ],
          },
          {
            label: '2',
            seats: [
              { index: 4, label: 'A-2-1', x: -2, y: 7 },
              { index: 5, label: 'A-2-2', x: -1, y: 7 },
              { index: 6, label: 'A-2-3', x: 1, y: 7 },
              { index: 7, label: 'A-2-4', x: 2, y: 7 },
            ],
          },
          {
            label: '3',
            seats: [
              { index: 8, label: 'A-3-7', x: 0, y: 10 },
              { index: 9, label: 'A-3-8', x: 1, y: 10 },
            ],
          },
        ],
      },
    ]);
  });

  test('turns a section, so that its rows go back along x', () => {
    const [first, second, third] = seatsOf(expandLayout(hall([{ labels: '1-2', seats: 2 }], { angle: 90 })).sections);
    expect(first).toMatchObject({ x: 0, y: 5.5 });
    expect(second).toMatchObject({ x: 0, y: 4.5 });
    expect(third).toMatchObject({ x: 2, y: 5.5 });
  });

  test('bends rows around one centre', () => {
    const seats = seatsOf(expandLayout(hall([{ labels: '1-3', seats: 9 }], {}, 10)).sections);
    // The front row's middle is at y = 5, so the centre lies 10 m before it.
    const radii = seats.map(({ x, y }) => Math.hypot(x, y + 5));
    for (const [i, radius] of radii.entries()) expect(radius).toBeCloseTo(10 + 2 * Math.floor(i / 9), 1);
  });

  test('gives prices, sections and blocked seats by index', () => {
    const base = hall([{ labels: '1', seats: 2 }]);
    const layout = expandLayout(
      valid({
        ...base,
        priceCategories: [...base.priceCategories, { id: 'tin', name: 'Tin', priceMinor: 1_000 }],
        sections: [...base.sections, { ...base.sections[0], id: 'B', priceCategory: 'tin' }],
        blocked: ['B-1-2', 'B-1-1'],
      }),
    );
    expect([...layout.priceMinorByIndex]).toEqual([75_000_000, 75_000_000, 1_000, 1_000]);
    expect([...layout.sectionByIndex]).toEqual([0, 0, 1, 1]);
    expect(layout.blockedIndexes).toEqual([2, 3]);
    expect(layout.seatIndexByLabel.get('B-1-1')).toBe(2);
    expect(layout.priceFromMinor).toBe(75_000_000);
  });

  test('numbers the seats of any venue densely, each label once', () => {
    fc.assert(
      fc.property(anyVenue, (venue) => {
        const layout = expandLayout(valid(venue));
        const seats = seatsOf(layout.sections);
        expect(layout.seatCount).toBe(seatCountOf(venue));
        expect(seats.map(({ index }) => index)).toEqual([...Array(layout.seatCount).keys()]);
        expect(new Set(layout.labels).size).toBe(layout.seatCount);
        for (const seat of seats) {
          expect(layout.labels[seat.index]).toBe(seat.label);
          expect(layout.seatIndexByLabel.get(seat.label)).toBe(seat.index);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** Venues that obey the format: distinct sections, distinct rows, any shape. */
const anyVenue = fc
  .uniqueArray(fc.stringMatching(/^[A-Z0-9]{1,3}$/), { minLength: 1, maxLength: 5 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          angle: fc.integer({ min: -180, max: 180 }),
          curveRadiusM: fc.option(fc.integer({ min: 20, max: 90 }), { nil: undefined }),
          rows: fc.array(
            fc.record({
              count: fc.integer({ min: 1, max: 6 }),
              seats: fc.integer({ min: 1, max: 20 }),
              seatsStep: fc.integer({ min: 0, max: 3 }),
              startNumber: fc.integer({ min: 0, max: 50 }),
              offsetM: fc.double({ min: -5, max: 5, noNaN: true }),
            }),
            { minLength: 1, maxLength: 4 },
          ),
        }),
      ),
    ),
  )
  .map((sections) => {
    const [section] = hall([{ labels: '1', seats: 1 }]).sections;
    return valid({
      ...hall([{ labels: '1', seats: 1 }]),
      sections: sections.map(({ id, angle, curveRadiusM, rows }) => {
        let next = 1;
        const labelled = rows.map(({ count, ...rest }) => {
          const from = next;
          next += count;
          return { ...rest, labels: count === 1 ? `${from}` : `${from}-${next - 1}` };
        });
        return { ...section, id, position: { x: 0, y: 5, angle }, curveRadiusM, rows: labelled };
      }),
    });
  });

function hall(rows: readonly object[], position: object = {}, curveRadiusM?: number): Venue {
  return valid({
    id: 'hall',
    name: 'Hall',
    city: 'Solo',
    layoutVersion: 1,
    currency: 'IDR',
    spacing: { seat: 1, row: 2 },
    priceCategories: [{ id: 'gold', name: 'Gold', priceMinor: 75_000_000 }],
    sections: [
      { id: 'A', name: 'Stalls', priceCategory: 'gold', position: { x: 0, y: 5, ...position }, curveRadiusM, rows },
    ],
  });
}

function valid(json: unknown): Venue {
  const result = validateVenue(json);
  if (!result.ok) throw new Error(result.failure.join('\n'));
  return result.value;
}

const seatsOf = (sections: readonly LayoutSection[]) =>
  sections.flatMap(({ rows }) => rows.flatMap(({ seats }) => seats));

const seatCountOf = (venue: Venue): number =>
  venue.sections
    .flatMap(({ rows }) => rows.flatMap((row) => rowLabels(row.labels).map((_, position) => seatsInRow(row, position))))
    .reduce((sum, count) => sum + count, 0);

/** The smallest distance between two seats, looked for in a grid of one-metre cells; infinite when all are farther apart. */
function closest(seats: readonly { x: number; y: number }[]): number {
  const cells = new Map<string, { x: number; y: number }[]>();
  let least = Number.POSITIVE_INFINITY;
  for (const seat of seats) {
    const [column, line] = [Math.floor(seat.x), Math.floor(seat.y)];
    for (const dx of [-1, 0, 1]) {
      for (const dy of [-1, 0, 1]) {
        for (const other of cells.get(`${column + dx},${line + dy}`) ?? []) {
          least = Math.min(least, Math.hypot(seat.x - other.x, seat.y - other.y));
        }
      }
    }
    const cell = cells.get(`${column},${line}`);
    if (cell === undefined) cells.set(`${column},${line}`, [seat]);
    else cell.push(seat);
  }
  return least;
}
