import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ClientEvent } from '../client-event.ts';
import { readClientLog } from '../client-log.ts';
import type { DurableSample } from './durable.ts';
import { describeFigures, figuresOf } from './figures.ts';
import { defaultRate } from './rush.ts';
import { ClientLogReader, count, emptyTally } from './tally.ts';

const id = '00000007-0000-8000-8000-00000000000a';
const hold = (at: number, seats: string[]): ClientEvent => ({
  e: 'hold',
  at,
  user: '018bcfe5-6800-7000-8000-00000000000a',
  id,
  seats,
  totalMinor: 500,
  expiresAt: '2026-11-23T12:00:30.000Z',
});
const sample = (atMs: number, bookings: number, behind = 0): DurableSample => ({
  atMs,
  bookings,
  confirmed: bookings,
  soldSeats: bookings,
  heldSeats: 0,
  behind,
  storedEntries: bookings * 3,
});

test('figures are counts over the time that they took', () => {
  const tally = emptyTally();
  const events: ClientEvent[] = [
    hold(10_000, ['A-1-1', 'A-1-2']),
    hold(10_900, ['A-1-3']),
    hold(14_000, ['A-1-4']),
    { e: 'refused', at: 11_000, code: 'seats_taken' },
    { e: 'refused', at: 13_000, code: 'seats_taken' },
    { e: 'refused', at: 15_000, code: 'sold_out' },
    { e: 'unexpected', at: 12_000, call: 'hold', status: 500, code: 'internal' },
    { e: 'fan', at: 15_000, outcome: 'bought' },
  ];
  for (const event of events) count(tally, event);
  const samples = [sample(10_000, 0), sample(11_000, 2, 7), sample(15_000, 3), sample(16_000, 3)];
  const trend = { type: 'trend', values: { count: 3, 'p(50)': 1.26, 'p(95)': 2, 'p(99)': 3, max: 4 } };
  const figures = figuresOf(tally, samples, { hold_ms: trend }, 5);

  expect(figures.accepted).toEqual({ count: 3, perSecond: 0.8, peakPerSecond: 2, overSeconds: 4 });
  expect(figures.acceptedSeats).toBe(4);
  expect(figures.refused).toEqual({
    seats_taken: { count: 2, perSecond: 0.5 },
    sold_out: { count: 1, perSecond: 0.3 },
  });
  // The last booking was first seen at 15 s, five seconds after the first 201; the best second had two.
  expect(figures.durable).toEqual({ count: 3, perSecond: 0.6, peakPerSecond: 2, overSeconds: 5 });
  expect(figures.behindMax).toBe(7);
  expect(figures.latencyMs.hold).toEqual({ count: 3, p50: 1.3, p95: 2, p99: 3, max: 4 });
  expect(figures.fans).toEqual({ wanted: 5, done: 1, outcomes: { bought: 1 } });
  expect(describeFigures(figures)).toContain('hold 500 internal: 1');
});

test('nothing at all makes figures too', () => {
  expect(figuresOf(emptyTally(), [], {}, 1).durable).toEqual({
    count: 0,
    perSecond: 0,
    peakPerSecond: null,
    overSeconds: 0,
  });
});

test.each([
  [5_000, 30_000, 80],
  [1_000, 30_000, 22],
  [10, 1_800_000, 1],
])('%d fans and holds of %d ms: %d fans a second', (fans, ttlMs, rate) => expect(defaultRate(fans, ttlMs)).toBe(rate));

test('a growing client log is read line by line, whatever the pieces it is written in', () => {
  const folder = mkdtempSync(join(tmpdir(), 'frontrow-client-log-'));
  try {
    const file = join(folder, 'client.jsonl');
    const reader = new ClientLogReader(file);
    expect(reader.read()).toEqual([]);
    const lines = `${JSON.stringify(hold(1, ['A-1-1']))}\n${JSON.stringify({ e: 'refused', at: 2, code: 'späti' })}\n`;
    const bytes = Buffer.from(lines);
    const insideCharacter = bytes.indexOf(0xc3) + 1;
    writeFileSync(file, bytes.subarray(0, 20));
    expect(reader.read()).toEqual([]);
    appendFileSync(file, bytes.subarray(20, insideCharacter));
    expect(reader.read()).toHaveLength(1);
    appendFileSync(file, bytes.subarray(insideCharacter));
    expect(reader.read()).toEqual([{ e: 'refused', at: 2, code: 'späti' }]);
    // k6 was killed while it wrote.
    appendFileSync(file, '{"e":"fan","at"');
    expect(readClientLog(file)).toHaveLength(2);
    appendFileSync(file, ' broken\n');
    expect(() => readClientLog(file)).toThrow('line 3 of the client log is no event');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
