import { relative } from 'node:path';
import { startVitest } from 'vitest/node';
import { isMain, runCommand } from './cli.ts';
import { projectRoot } from './stack/files.ts';

const usage = `Usage: npm test [-- part-of-a-path ...] [-- -t "part of a name"]

Runs every test (or those whose file's path holds one of the words) with servers of its own on free ports: nothing needs to
run, and a running system is not disturbed. Ends with one line: N passed, N failed, N skipped. Exits 1 when a test failed or
when none ran.

  -t NAME       only tests whose name holds this
  --help        this text`;

interface Skipped {
  test: string;
  reason: string;
}

export interface Tally {
  passed: number;
  failed: number;
  skipped: readonly Skipped[];
}

/** As much of vitest's report as is counted here. */
interface Test {
  fullName: string;
  module: { moduleId: string };
  options: { mode: string };
  result(): { state: 'passed' | 'failed' | 'skipped' | 'pending'; note?: string | undefined };
}
interface Module {
  errors(): readonly unknown[];
  children: { allTests(): Iterable<Test>; allSuites(): Iterable<{ errors(): readonly unknown[] }> };
}

/** The tests of a run, and what kept others from running: a file that cannot be loaded, an error outside any test. */
export interface FinishedRun {
  modules: readonly Module[];
  unhandledErrors: number;
}

/** Counts a run. Tests of a file that could not be loaded never come into being, so the file itself counts as failed. */
export function tallyOf({ modules, unhandledErrors }: FinishedRun): Tally {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const suites = modules.flatMap((module) => [...module.children.allSuites()]);
  const broken = [...modules, ...suites].filter((part) => part.errors().length > 0).length;
  const unfinished = tests.filter((test) => test.result().state === 'pending').length;
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failed: tests.filter((test) => test.result().state === 'failed').length + broken + unfinished + unhandledErrors,
    skipped: tests.filter((test) => test.result().state === 'skipped').map(skippedOf),
  };
}

/** The line that a run ends with. */
export function summaryLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped.length} skipped`;
}

function skippedOf(test: Test): Skipped {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  const reason =
    note ?? (test.options.mode === 'todo' ? 'not written yet' : 'not selected, or skipped without a reason');
  return { test: `${relative(projectRoot, test.module.moduleId)} > ${test.fullName}`, reason };
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) return console.log(usage);
  const flag = args.indexOf('-t');
  const testNamePattern = flag === -1 ? undefined : args[flag + 1];
  const filters = args.filter((_, index) => flag === -1 || (index !== flag && index !== flag + 1));

  const vitest = await startVitest('test', filters, {
    run: true,
    watch: false,
    root: projectRoot,
    ...(testNamePattern === undefined ? {} : { testNamePattern }),
  });
  const tally = tallyOf({
    modules: vitest.state.getTestModules(),
    unhandledErrors: vitest.state.getUnhandledErrors().length,
  });
  await vitest.close();

  for (const { test, reason } of tally.skipped) console.log(`skipped: ${test}: ${reason}`);
  const noneRan = tally.passed + tally.failed === 0;
  if (noneRan) console.error('No test ran.');
  console.log(summaryLine(tally));
  // Whatever a test left open must not keep the command from ending.
  process.exit(tally.failed > 0 || noneRan ? 1 : 0);
}

if (isMain(import.meta.url)) await runCommand(main);
