import { EnvError, parseEnv } from '@frontrow/shared/env.ts';
import { allStatements } from '@frontrow/shared/mysql/pool.ts';
import { expect, test } from 'vitest';
import { apiDocument } from './api.ts';
import { mainEnv, workerEnv } from './env.ts';
import './reconcile/reconcile.repo.ts';

test('the document has every route', () => {
  const paths = apiDocument().getSpec().paths ?? {};
  expect(
    Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`)),
  ).toEqual([
    'post /api/payments',
    'get /api/payments/{paymentId}',
    'post /api/webhooks/{provider}',
    'post /internal/concerts/{concertId}/reset',
  ]);
});

test('every statement names its shard key; only the reconciler looks at a whole shard', () => {
  const whole = allStatements().filter(
    ({ name, sql }) => !name.startsWith('shared.') && !/concert_id( =|,\s)/.test(sql),
  );
  expect(whole.map(({ name }) => name)).toEqual([]);
  const withoutEquality = allStatements().filter(
    ({ name, sql }) => !name.startsWith('shared.') && !sql.startsWith('INSERT') && !sql.includes('concert_id = ?'),
  );
  expect(withoutEquality.map(({ name }) => name).sort()).toEqual(['reconcile.unfinished', 'reconcile.unprocessed']);
});

test('a wrong environment names every fault at once', () => {
  const given = { SANDBOX_API_KEY: 'short', PAYMENT_SHARD_URLS: 'postgres://x', PROVIDER_TIMEOUT_MS: '1' };
  for (const schema of [mainEnv, workerEnv]) {
    const parse = () => parseEnv(schema, given);
    expect(parse).toThrow(EnvError);
    for (const name of [...Object.keys(given), 'QUEUE_REDIS_URL', 'BOOKING_INTERNAL_URL', 'OPS_PORT']) {
      expect(parse).toThrow(name);
    }
  }
});
