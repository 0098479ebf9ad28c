import { parseEnv } from '@frontrow/shared/env.ts';
import { describe, expect, test } from 'vitest';
import { apiEnv, workerEnv } from './env.ts';

const secret = 'x'.repeat(32);
const worker = {
  OPS_PORT: '1',
  SERVICE_TOKEN_SECRET: secret,
  REDIS_URL: 'redis://localhost',
  QUEUE_REDIS_URL: 'redis://localhost',
  DIRECTORY_MYSQL_URL: 'mysql://localhost/d',
  BOOKING_SHARD_URLS: 'mysql://localhost/a, mysql://localhost/b',
};
const api = { ...worker, PORT: '2', JWKS_FILE: 'keys.json', HOLD_ID_SECRET: secret };

describe('the environment', () => {
  test('has every tactic on and no guard out, unless it says else', () => {
    const env = parseEnv(apiEnv, api);
    const tactics = Object.entries(env).filter(([name]) => name.startsWith('TACTIC_'));
    expect(tactics.map(([, value]) => value)).toEqual(Array.from({ length: 5 }, () => true));
    expect(env.UNSAFE_WITHOUT_GUARDS).toBeUndefined();
    expect(env.BOOKING_SHARD_URLS).toEqual(['mysql://localhost/a', 'mysql://localhost/b']);
    expect(parseEnv(apiEnv, { ...api, TACTIC_BATCHING: 'off' }).TACTIC_BATCHING).toBe(false);
  });

  test.each(['production', 'development', ''])('keeps the guards in when NODE_ENV is "%s"', (NODE_ENV) => {
    const env = { ...api, NODE_ENV, UNSAFE_WITHOUT_GUARDS: 'seats_free' };
    expect(() => parseEnv(apiEnv, env)).toThrow(/UNSAFE_WITHOUT_GUARDS: .*only with NODE_ENV=test/);
  });

  test('takes known guards out in a test', () => {
    const env = { ...api, NODE_ENV: 'test', UNSAFE_WITHOUT_GUARDS: 'seats_free,seat_limit' };
    expect(parseEnv(apiEnv, env).UNSAFE_WITHOUT_GUARDS).toEqual(['seats_free', 'seat_limit']);
    expect(() => parseEnv(apiEnv, { ...env, UNSAFE_WITHOUT_GUARDS: 'all' })).toThrow(/UNSAFE_WITHOUT_GUARDS/);
  });

  test('gives a worker every role, or those that are named', () => {
    expect(parseEnv(workerEnv, worker).WORKER_ROLES).toEqual(['relay', 'persist', 'sweep', 'recovery']);
    expect(parseEnv(workerEnv, { ...worker, WORKER_ROLES: 'sweep' }).WORKER_ROLES).toEqual(['sweep']);
    expect(() => parseEnv(workerEnv, { ...worker, WORKER_ROLES: 'sweeper' })).toThrow(/WORKER_ROLES/);
  });

  test('names every fault at once', () => {
    const faulty = { ...api, PORT: '0', REDIS_URL: 'http://x', HOLD_ID_SECRET: 'short', TACTIC_BATCHING: 'yes' };
    expect(() => parseEnv(apiEnv, faulty)).toThrow(/REDIS_URL[\s\S]*TACTIC_BATCHING[\s\S]*PORT[\s\S]*HOLD_ID_SECRET/);
  });
});
