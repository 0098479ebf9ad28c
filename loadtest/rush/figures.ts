import type { DurableSample } from './durable.ts';
import type { K6Metrics } from './k6-run.ts';
import type { Tally } from './tally.ts';

/** A number of things, how fast they came on the whole, and in their best second. */
interface Rate {
  count: number;
  perSecond: number;
  peakPerSecond: number | null;
  overSeconds: number;
}

export interface Figures {
  /** 201s, from the first to the last, by the clients' clock. */
  accepted: Rate;
  acceptedSeats: number;
  /** By the problem's code, over the time from the first refusal to the last. */
  refused: Record<string, { count: number; perSecond: number }>;
  /** Bookings in MySQL, from the first 201 until the last of them was first seen there. */
  durable: Rate;
  /** Entries of the log in MySQL, over the same time. */
  durableChanges: { count: number; perSecond: number };
  /** The most log entries that Redis had and MySQL had not, of all looks. */
  behindMax: number;
  confirmed: number;
  latencyMs: Record<string, { count: number; p50: number; p95: number; p99: number; max: number }>;
  fans: { wanted: number; done: number; outcomes: Record<string, number> };
  declined: number;
  watchers: { connected: number; lost: number; deltas: number; seats: number; gaps: number };
  requests: { count: number; perSecond: number };
  /** Arrivals for whom k6 had no virtual user free. */
  dropped: number;
  unexpected: Record<string, number>;
}

const latencies = {
  hold: 'hold_ms',
  map: 'map_ms',
  payment: 'payment_ms',
  'payment to confirmed': 'confirmed_ms',
};

export function figuresOf(
  tally: Tally,
  samples: readonly DurableSample[],
  metrics: K6Metrics,
  fansWanted: number,
): Figures {
  const acceptedS = seconds(tally.firstAcceptedMs, tally.lastAcceptedMs);
  const refusedS = seconds(tally.firstRefusedMs, tally.lastRefusedMs);
  const last = samples.at(-1);
  const bookings = last?.bookings ?? 0;
  const durableS = seconds(tally.firstAcceptedMs, samples.find((sample) => sample.bookings >= bookings)?.atMs ?? null);
  const entries = last?.storedEntries ?? 0;
  const entriesS = seconds(
    tally.firstAcceptedMs,
    samples.find((sample) => sample.storedEntries >= entries)?.atMs ?? null,
  );
  const countOf = (name: string) => metrics[name]?.values.count ?? 0;
  return {
    accepted: {
      count: tally.accepted,
      perSecond: perSecond(tally.accepted, acceptedS),
      peakPerSecond: Math.max(0, ...tally.acceptedBySecond.values()),
      overSeconds: acceptedS,
    },
    acceptedSeats: tally.acceptedSeats,
    refused: Object.fromEntries(
      [...tally.refused].map(([code, count]) => [code, { count, perSecond: perSecond(count, refusedS) }]),
    ),
    durable: {
      count: bookings,
      perSecond: perSecond(bookings, durableS),
      peakPerSecond: peakOf(samples),
      overSeconds: durableS,
    },
    durableChanges: { count: entries, perSecond: perSecond(entries, entriesS) },
    behindMax: Math.max(0, ...samples.map(({ behind }) => behind)),
    confirmed: last?.confirmed ?? 0,
    latencyMs: Object.fromEntries(
      Object.entries(latencies).map(([name, metric]) => [name, percentiles(metrics[metric]?.values)]),
    ),
    fans: { wanted: fansWanted, done: tally.fans, outcomes: Object.fromEntries(tally.outcomes) },
    declined: tally.declined,
    watchers: {
      connected: countOf('watchers_connected'),
      lost: countOf('watchers_lost'),
      deltas: countOf('deltas'),
      seats: countOf('delta_seats'),
      gaps: countOf('delta_gaps'),
    },
    requests: { count: countOf('http_reqs'), perSecond: round(metrics.http_reqs?.values.rate ?? 0) },
    dropped: countOf('dropped_iterations'),
    unexpected: Object.fromEntries(tally.unexpected),
  };
}

export function describeFigures(figures: Figures): string {
  const { accepted, durable, durableChanges, fans, watchers } = figures;
  const refusals = Object.entries(figures.refused).sort(([, a], [, b]) => b.count - a.count);
  const unexpected = Object.entries(figures.unexpected);
  const lines = [
    `accepted   ${accepted.count} holds of ${figures.acceptedSeats} seats: ${accepted.perSecond}/s over ${accepted.overSeconds} s, best second ${accepted.peakPerSecond}`,
    `refused    ${refusals.map(([code, { count, perSecond: rate }]) => `${code} ${count} (${rate}/s)`).join(', ') || 'none'}`,
    `durable    ${durable.count} bookings in MySQL: ${durable.perSecond}/s over ${durable.overSeconds} s, best second ${durable.peakPerSecond ?? '-'}; ` +
      `${durableChanges.count} log entries, ${durableChanges.perSecond}/s; at most ${figures.behindMax} behind`,
    `confirmed  ${figures.confirmed} bookings; ${figures.declined} payments declined`,
    `fans       ${fans.done} of ${fans.wanted}: ${Object.entries(fans.outcomes)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    `watchers   ${watchers.connected} connections, ${watchers.lost} lost; ${watchers.deltas} deltas with ${watchers.seats} seats, ${watchers.gaps} gaps`,
    `requests   ${figures.requests.count}, ${figures.requests.perSecond}/s; ${figures.dropped} arrivals dropped`,
    `unexpected ${unexpected.map(([what, count]) => `${what}: ${count}`).join(', ') || 'none'}`,
    '',
    `${'latency, ms'.padEnd(22)}${['p50', 'p95', 'p99', 'max', 'count'].map((name) => name.padStart(10)).join('')}`,
  ];
  for (const [name, { p50, p95, p99, max, count }] of Object.entries(figures.latencyMs)) {
    lines.push(
      `  ${name.padEnd(20)}${[p50, p95, p99, max, count].map((value) => String(value).padStart(10)).join('')}`,
    );
  }
  return lines.map((line) => `  ${line}`.trimEnd()).join('\n');
}

/** The steepest rise between two looks at least a second apart. */
function peakOf(samples: readonly DurableSample[]): number | null {
  let peak: number | null = null;
  let from = 0;
  for (const [index, sample] of samples.entries()) {
    while (from + 1 < index && sample.atMs - (samples[from + 1]?.atMs ?? 0) >= 1_000) from += 1;
    const before = samples[from];
    const overMs = before ? sample.atMs - before.atMs : 0;
    if (before && overMs >= 1_000) peak = Math.max(peak ?? 0, ((sample.bookings - before.bookings) * 1_000) / overMs);
  }
  return peak === null ? null : round(peak);
}

function percentiles(values: Record<string, number> | undefined) {
  const of = (name: string) => round(values?.[name] ?? 0);
  return { count: values?.count ?? 0, p50: of('p(50)'), p95: of('p(95)'), p99: of('p(99)'), max: of('max') };
}

const seconds = (fromMs: number | null, toMs: number | null): number =>
  fromMs === null || toMs === null ? 0 : round(Math.max(0, toMs - fromMs) / 1_000);
/** Less than a second counts as one: a rate over a moment says nothing. */
const perSecond = (count: number, overSeconds: number): number => round(count / Math.max(1, overSeconds));
const round = (value: number): number => Math.round(value * 10) / 10;
