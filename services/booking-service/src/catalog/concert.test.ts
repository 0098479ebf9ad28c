import { expect, test } from 'vitest';
import { type Concert, saleStateOf } from './concert.ts';

const [opensAtMs, closesAtMs] = [1_000, 2_000];
const concert = { opensAtMs, closesAtMs, saleOverride: 'none' } as Concert;

test.each<[string, Partial<Concert>, boolean, number, string]>([
  ['before it opens', {}, false, 999, 'upcoming'],
  ['from the opening on', {}, false, 1_000, 'open'],
  ['until the last moment', {}, false, 1_999, 'open'],
  ['at its end', {}, false, 2_000, 'closed'],
  ['when nothing is left', {}, true, 1_500, 'sold_out'],
  ['when nothing is left and it is over', {}, true, 2_000, 'closed'],
  ['when it is paused', { saleOverride: 'paused' }, true, 1_500, 'paused'],
  ['when it is paused before it opens', { saleOverride: 'paused' }, false, 1, 'paused'],
  ['when it is paused and over', { saleOverride: 'paused' }, false, 2_000, 'closed'],
  ['when it was closed by hand', { saleOverride: 'closed' }, false, 1, 'closed'],
])('the sale %s', (_, over, soldOut, nowMs, state) => {
  expect(saleStateOf({ ...concert, ...over }, soldOut, nowMs)).toBe(state);
});
