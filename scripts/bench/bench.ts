import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { commandLine, isMain, runCommand, wholeNumber } from '../cli.ts';
import { projectRoot } from '../stack/files.ts';
import type { Benchmark, Measure } from './benchmark.ts';
import { holdBatching } from './hold-batching.ts';
import { mapMemory } from './map-memory.ts';
import { persistRanges } from './persist-ranges.ts';

const usage = `Usage: npm run bench [-- --rounds N]

Measures what a tactic is worth against its control, the two in turn in one run and in reversed order every second round, on
servers of its own. Prints medians, the ratio pair by pair, and work per CPU-second of the server that does the work. Each
result is appended to scripts/bench/results.jsonl with date, commit and machine. Trust the ratios, not the absolute numbers.

  --rounds N    pairs of each benchmark (default 5)
  --help        this text`;

const median = (numbers: number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const round = (number: number): number => Number(number.toPrecision(3));

async function measure(benchmark: Benchmark, rounds: number) {
  const { tactic, control } = benchmark;
  // A run of each that is not counted: code and caches are warm.
  await tactic.run();
  await control.run();
  const pairs: { tactic: Measure; control: Measure }[] = [];
  for (let pair = 0; pair < rounds; pair += 1) {
    if (pair % 2 === 0) pairs.push({ tactic: await tactic.run(), control: await control.run() });
    else {
      const second = await control.run();
      pairs.push({ tactic: await tactic.run(), control: second });
    }
  }
  const perSecond = (m: Measure) => m.work / m.wallSeconds;
  const perCpuSecond = (m: Measure) => m.work / m.cpuSeconds;
  const side = (pick: (pair: (typeof pairs)[number]) => Measure) => ({
    perSecond: round(median(pairs.map((pair) => perSecond(pick(pair))))),
    perCpuSecond: round(median(pairs.map((pair) => perCpuSecond(pick(pair))))),
  });
  return {
    name: benchmark.name,
    unit: benchmark.unit,
    cpuOf: benchmark.cpuOf,
    rounds,
    tactic: { label: tactic.label, ...side((pair) => pair.tactic) },
    control: { label: control.label, ...side((pair) => pair.control) },
    ratioPerSecond: round(median(pairs.map((pair) => perSecond(pair.tactic) / perSecond(pair.control)))),
    ratioPerCpuSecond: round(median(pairs.map((pair) => perCpuSecond(pair.tactic) / perCpuSecond(pair.control)))),
  };
}

async function main(): Promise<void> {
  const given = commandLine(usage, { rounds: { type: 'string', default: '5' } });
  const rounds = wholeNumber('rounds', given.rounds, 1, 100);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: projectRoot, encoding: 'utf8' }).trim();
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
  for (const prepare of [holdBatching, persistRanges, mapMemory]) {
    const benchmark = await prepare();
    try {
      const result = await measure(benchmark, rounds);
      const row = (side: { label: string; perSecond: number; perCpuSecond: number }) =>
        `  ${side.label.padEnd(34)} ${String(side.perSecond).padStart(10)} ${benchmark.unit}/s ${String(side.perCpuSecond).padStart(12)} per CPU-second of ${benchmark.cpuOf}`;
      console.log(
        `${result.name}\n${row(result.tactic)}\n${row(result.control)}\n  ratio ${result.ratioPerSecond} in rate, ${result.ratioPerCpuSecond} per CPU-second (median of ${rounds} pairs)\n`,
      );
      appendFileSync(
        join(projectRoot, 'scripts/bench/results.jsonl'),
        `${JSON.stringify({ date: new Date().toISOString(), commit, machine, ...result })}\n`,
      );
    } finally {
      await benchmark.stop();
    }
  }
}

if (isMain(import.meta.url)) await runCommand(main);
