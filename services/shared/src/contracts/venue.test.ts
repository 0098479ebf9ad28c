import { describe, expect, test } from 'vitest';
import { rowLabels, validateVenue } from './venue.ts';

const section = {
  id: 'A',
  name: 'Stalls',
  priceCategory: 'gold',
  position: { x: 0, y: 5 },
  rows: [{ labels: '1-3', seats: 10 }],
};
const venue = {
  id: 'hall',
  name: 'Hall',
  city: 'Solo',
  layoutVersion: 1,
  currency: 'IDR',
  spacing: { seat: 0.55, row: 0.9 },
  priceCategories: [{ id: 'gold', name: 'Gold', priceMinor: 75_000_000 }],
  sections: [section],
};
const withRows = (rows: object) => ({ ...venue, sections: [{ ...section, rows: [{ ...section.rows[0], ...rows }] }] });

describe('validateVenue', () => {
  test('fills in what a file may leave out', () => {
    expect(validateVenue(venue)).toMatchObject({
      ok: true,
      value: {
        blocked: [],
        sections: [{ position: { angle: 0 }, rows: [{ seatsStep: 0, startNumber: 1, offsetM: 0, aisles: [] }] }],
      },
    });
  });

  test.each([
    ['no object at all', null, '(the file): '],
    ['a missing name', { ...venue, name: undefined }, 'name: '],
    ['an unknown key', { ...venue, colour: 'red' }, '(the file): Unrecognized key: "colour"'],
    ['an unknown key inside', withRows({ seat: 1 }), 'sections[0].rows[0]: Unrecognized key: "seat"'],
    ['no seats in a row', withRows({ seats: 0 }), 'sections[0].rows[0].seats: '],
    ['seats as text', withRows({ seats: '10' }), 'sections[0].rows[0].seats: '],
    ['a dash in a section id', { ...venue, sections: [{ ...section, id: 'A-1' }] }, 'sections[0].id: '],
    ['a broken currency', { ...venue, currency: 'Rp' }, 'currency: '],
    [
      'a price in fractions',
      { ...venue, priceCategories: [{ id: 'gold', name: 'Gold', priceMinor: 1.5 }] },
      'priceCategories[0].priceMinor: ',
    ],
    [
      'an unknown price category',
      { ...venue, sections: [{ ...section, priceCategory: 'tin' }] },
      'sections[0].priceCategory: there is no price category "tin"',
    ],
    [
      'a section twice',
      { ...venue, sections: [section, section] },
      'sections[1].id: "A" stands already in sections[0].id',
    ],
    [
      'a row twice',
      {
        ...venue,
        sections: [
          {
            ...section,
            rows: [
              { labels: '1-3', seats: 4 },
              { labels: '3', seats: 4 },
            ],
          },
        ],
      },
      'sections[0].rows[1].labels: "3" stands already in sections[0].rows[0].labels',
    ],
    ['a range backwards', withRows({ labels: '9-3' }), 'sections[0].rows[0].labels: the range "9-3" runs backwards'],
    ['a mixed range', withRows({ labels: '1-C' }), 'sections[0].rows[0].labels: a row label or a range of them'],
    [
      'rows that shrink to nothing',
      withRows({ seats: 2, seatsStep: -1 }),
      'sections[0].rows[0].seatsStep: leaves a row without seats',
    ],
    [
      'rows that grow too long',
      withRows({ seats: 450, seatsStep: 50 }),
      'sections[0].rows[0].seatsStep: makes a row of 550 seats, more than 500',
    ],
    [
      'an aisle beyond the row',
      withRows({ aisles: [{ afterSeat: 10, widthM: 1 }] }),
      'sections[0].rows[0].aisles[0].afterSeat: a row has only 10 seats',
    ],
    [
      'a row around a whole circle',
      { ...venue, sections: [{ ...section, curveRadiusM: 1, rows: [{ labels: '1', seats: 12 }] }] },
      'sections[0].rows[0].seats: the row is longer than the circle it stands on',
    ],
    [
      'a blocked seat that is not there',
      { ...venue, blocked: ['A-1-1', 'A-4-1'] },
      'blocked[1]: there is no seat "A-4-1"',
    ],
    [
      'a seat blocked twice',
      { ...venue, blocked: ['A-1-1', 'A-1-1'] },
      'blocked[1]: "A-1-1" stands already in blocked[0]',
    ],
  ])('names the fault and its path: %s', (_name, json, expected) => {
    const result = validateVenue(json);
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.failure).toEqual([expect.stringContaining(expected)]);
  });

  test('names every fault at once', () => {
    const result = validateVenue({ ...venue, name: '', sections: [{ ...section, id: 'a', rows: [] }] });
    expect(result.ok ? [] : result.failure.map((fault) => fault.split(':')[0])).toEqual([
      'name',
      'sections[0].id',
      'sections[0].rows',
    ]);
  });

  test('refuses more seats than a concert may have', () => {
    const sections = Array.from({ length: 5 }, (_, i) => ({
      ...section,
      id: `S${i}`,
      rows: [{ labels: '1-100', seats: 500 }],
    }));
    expect(validateVenue({ ...venue, sections })).toEqual({
      ok: false,
      failure: ['sections: 250000 seats are more than 200000'],
    });
  });
});

test.each([
  ['7', ['7']],
  ['AA', ['AA']],
  ['9-11', ['9', '10', '11']],
  ['A-C', ['A', 'B', 'C']],
  ['4-4', ['4']],
  ['5-4', []],
])('row labels %s', (labels, expected) => {
  expect(rowLabels(labels)).toEqual(expected);
});
