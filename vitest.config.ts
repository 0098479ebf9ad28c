import { defineConfig } from 'vitest/config';

/** What a test needs is in its name: `x.test.ts` nothing, `x.redis.test.ts` / `x.mysql.test.ts` that server, `x.e2e.test.ts` the whole stack. */
export default defineConfig({
  test: {
    include: ['services/**/*.test.ts', 'scripts/**/*.test.ts', 'loadtest/**/*.test.ts', 'db/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Two cores: more workers only take time from the servers under test.
    maxWorkers: 2,
    pool: 'forks',
  },
});
