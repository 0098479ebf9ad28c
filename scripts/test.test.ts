import { expect, test } from 'vitest';
import { summaryLine, tallyOf } from './test.ts';

type State = 'passed' | 'failed' | 'skipped' | 'pending';

function moduleOf(
  tests: readonly [name: string, state: State, note?: string][],
  errors: readonly unknown[] = [],
  suiteErrors: readonly unknown[] = [],
) {
  return {
    errors: () => errors,
    children: {
      allTests: () =>
        tests.map(([fullName, state, note]) => ({
          fullName,
          module: { moduleId: `${process.cwd()}/scripts/a.test.ts` },
          options: { mode: 'run' },
          result: () => ({ state, note }),
        })),
      allSuites: () => [{ errors: () => suiteErrors }],
    },
  };
}

test.each([
  [
    'passed tests',
    {
      modules: [
        moduleOf([
          ['a', 'passed'],
          ['b', 'passed'],
        ]),
      ],
      unhandledErrors: 0,
    },
    '2 passed, 0 failed, 0 skipped',
  ],
  [
    'a failed and a skipped one',
    {
      modules: [
        moduleOf([
          ['a', 'failed'],
          ['b', 'skipped'],
        ]),
      ],
      unhandledErrors: 0,
    },
    '0 passed, 1 failed, 1 skipped',
  ],
  [
    'a file that cannot be loaded',
    { modules: [moduleOf([], ['syntax'])], unhandledErrors: 0 },
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'a hook that failed',
    { modules: [moduleOf([['a', 'skipped']], [], ['hook'])], unhandledErrors: 0 },
    '0 passed, 1 failed, 1 skipped',
  ],
  [
    'a test that never ended',
    { modules: [moduleOf([['a', 'pending']])], unhandledErrors: 0 },
    '0 passed, 1 failed, 0 skipped',
  ],
  [
    'an error outside any test',
    { modules: [moduleOf([['a', 'passed']])], unhandledErrors: 1 },
    '1 passed, 1 failed, 0 skipped',
  ],
])('%s', (_, run, line) => {
  expect(summaryLine(tallyOf(run))).toBe(line);
});

test('a skipped test is named with its reason', () => {
  const { skipped } = tallyOf({ modules: [moduleOf([['a > b', 'skipped', 'no chromium here']])], unhandledErrors: 0 });
  expect(skipped).toEqual([{ test: 'scripts/a.test.ts > a > b', reason: 'no chromium here' }]);
});
