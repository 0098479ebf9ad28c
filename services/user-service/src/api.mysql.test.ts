import { createTokenVerifier, signServiceToken } from '@frontrow/shared/http/auth.ts';
import { Metrics } from '@frontrow/shared/http/metrics.ts';
import { HttpServer } from '@frontrow/shared/http/server.ts';
import { newUserId } from '@frontrow/shared/ids.ts';
import { createLogger } from '@frontrow/shared/log.ts';
import { type Database, openDatabase, statement } from '@frontrow/shared/mysql/pool.ts';
import { type ApiClient, createApiClient } from '@frontrow/shared/testing/api-client.ts';
import { undocumented } from '@frontrow/shared/testing/documented.ts';
import { freePort } from '@frontrow/shared/testing/ports.ts';
import { makeTestKeys } from '@frontrow/shared/testing/tokens.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestMysql, type TestMysql } from '../../../scripts/data/servers.ts';
import { createAccountRepo } from './account/account.repo.ts';
import { createPasswords } from './account/password.ts';
import { apiDocument, type Dependencies, userRoutes } from './api.ts';
import { readSigningKey } from './session/signing-key.ts';

const serviceTokenSecret = 'a-service-token-secret-of-32-characters';
const password = 'correct horse battery';
const keys = makeTestKeys();
let mysql: TestMysql;
let database: Database;
let dependencies: Dependencies;
let api: ApiClient;
const servers: HttpServer[] = [];

beforeAll(async () => {
  mysql = await startTestMysql({ shards: 1 });
  database = openDatabase(mysql.usersUrl);
  dependencies = {
    accounts: createAccountRepo(database),
    passwords: await createPasswords(4),
    signingKey: readSigningKey(keys.privateKeyFile, keys.jwksFile),
  };
  api = await serve(dependencies);
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.drain(1_000)));
  await database?.close();
  await mysql?.stop();
  keys.remove();
});

async function serve(what: Dependencies): Promise<ApiClient> {
  const server = new HttpServer({
    routes: userRoutes(what),
    log: createLogger('test', 'fatal'),
    metrics: new Metrics('test'),
    verifyToken: createTokenVerifier(keys.jwksFile),
    serviceTokenSecret,
  });
  const port = await freePort();
  await server.listen('127.0.0.1', port);
  servers.push(server);
  return createApiClient(`http://127.0.0.1:${port}`, apiDocument().getSpec());
}

let count = 0;
/** A registration that clashes with no other. */
function newPerson() {
  count += 1;
  return { username: `fan_${count}`, email: `fan${count}@example.com`, password };
}

async function register(person = newPerson()) {
  const reply = await api.call('POST', '/api/users', { body: person });
  expect(reply.status).toBe(201);
  return { ...person, id: String(idOf(reply.body)) };
}

function idOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'id' in body ? body.id : undefined;
}

const failure = (status: number, code: string) => ({ status, body: expect.objectContaining({ code }) });

test('every route is in the document', () => {
  expect(undocumented(userRoutes(dependencies), apiDocument().getSpec())).toEqual([]);
});

describe('POST /api/users', () => {
  test('makes an account, and says where it is', async () => {
    const person = { username: 'Ayu.Lestari', email: 'Ayu@Example.com', password };
    const reply = await api.call('POST', '/api/users', { body: person });
    const id = idOf(reply.body);
    expect(reply).toMatchObject({ status: 201, body: { username: 'Ayu.Lestari', email: 'ayu@example.com' } });
    expect(reply.headers.get('location')).toBe(`/api/users/${id}`);
    expect(JSON.stringify(reply.body)).not.toMatch(/password|\$2b/);

    const select = statement('test.hash', 'SELECT password_hash AS hash, role FROM users WHERE username = ?');
    const [row] = await database.rows<{ hash: string; role: string }>(select, ['Ayu.Lestari']);
    expect(row).toEqual({ hash: expect.stringMatching(/^\$2b\$/), role: 'fan' });
    const read = await api.call('GET', `/api/users/${id}`, { token: keys.token(String(id)) });
    expect(read).toMatchObject({ status: 200, body: reply.body });
  });

  test('tells a taken email from a taken username, in any case', async () => {
    const known = await register();
    const other = newPerson();
    const attempt = (changes: object) => api.call('POST', '/api/users', { body: { ...other, ...changes } });
    expect(await attempt({ email: known.email })).toMatchObject(failure(409, 'email_taken'));
    expect(await attempt({ email: known.email.toUpperCase() })).toMatchObject(failure(409, 'email_taken'));
    expect(await attempt({ username: known.username })).toMatchObject(failure(409, 'username_taken'));
    expect(await attempt({ username: known.username.toUpperCase() })).toMatchObject(failure(409, 'username_taken'));
  });

  test('of twenty at once for one email, one gets it', async () => {
    const email = 'race@example.com';
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => api.call('POST', '/api/users', { body: { ...newPerson(), email } })),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)]);
  });

  test.each([
    ['a short password', { password: 'short' }, 'password'],
    ['a password of more than 72 bytes', { password: 'ä'.repeat(37) }, 'password'],
    ['no email', { email: 'nobody' }, 'email'],
    ['an email of a wrong type', { email: 7 }, 'email'],
    ['a username with a space', { username: 'a b c' }, 'username'],
    ['a username too short', { username: 'ab' }, 'username'],
    ['a role of one’s own choice', { role: 'admin' }, ''],
  ])('%s is refused and named', async (_, changes, path) => {
    const reply = await api.call('POST', '/api/users', { body: { ...newPerson(), ...changes } });
    expect(reply).toMatchObject(failure(400, 'invalid_request'));
    expect(reply.body).toMatchObject({ errors: [expect.objectContaining({ path })] });
  });
});

describe('POST /api/sessions', () => {
  test('gives a token that the other services take', async () => {
    const person = await register();
    const before = Date.now();
    const { status, body, headers } = await api.call('POST', '/api/sessions', {
      body: { email: person.email.toUpperCase(), password },
    });
    expect(status).toBe(201);
    expect(headers.get('cache-control')).toBe('no-store');
    const session = body as { accessToken: string; expiresAt: string; user: { id: string } };
    expect(session.user.id).toBe(person.id);
    const lifeMs = Date.parse(session.expiresAt) - before;
    expect(lifeMs).toBeGreaterThan(14 * 60_000);
    expect(lifeMs).toBeLessThanOrEqual(15 * 60_000 + 1_000);
    expect(createTokenVerifier(keys.jwksFile)(session.accessToken)).toMatchObject({
      identity: { userId: person.id, role: 'fan' },
    });
    expect((await api.call('GET', `/api/users/${person.id}`, { token: session.accessToken })).status).toBe(200);
  });

  test.each([
    ['a wrong password', (email: string) => ({ email, password: 'wrong password' })],
    ['a password that only begins right', (email: string) => ({ email, password: `${password}${'x'.repeat(60)}` })],
    ['an unknown account', () => ({ email: 'nobody@example.com', password })],
    ['an email that is none', () => ({ email: "' OR 1=1 -- ", password })],
  ])('%s gets the same answer', async (_, bodyOf) => {
    const { email } = await register();
    const reply = await api.call('POST', '/api/sessions', { body: bodyOf(email) });
    expect(reply).toMatchObject({ status: 401, body: { code: 'invalid_credentials', detail: expect.any(String) } });
  });

  test('time does not tell whether an account exists', async () => {
    const slow = await serve({ ...dependencies, passwords: await createPasswords(10) });
    const person = newPerson();
    await slow.call('POST', '/api/users', { body: person });
    const bestMs = async (email: string) => {
      const times: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const start = performance.now();
        await slow.call('POST', '/api/sessions', { body: { email, password: 'wrong password' } });
        times.push(performance.now() - start);
      }
      return Math.min(...times);
    };
    const ratio = (await bestMs('nobody@example.com')) / (await bestMs(person.email));
    // Without the hash of nobody this is below 0.1.
    expect(ratio).toBeGreaterThan(0.5);
    expect(ratio).toBeLessThan(2);
  });

  test('more log-ins at once than there may be are refused, not queued for ever', async () => {
    const small = await serve({ ...dependencies, passwords: await createPasswords(8, 2) });
    const replies = await Promise.all(
      Array.from({ length: 12 }, () => small.call('POST', '/api/sessions', { body: { email: 'a@b.co', password } })),
    );
    expect(replies.filter(({ status }) => status === 401).length).toBeGreaterThanOrEqual(2);
    const refused = replies.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject(failure(503, 'overloaded'));
    const registration = await Promise.all(
      Array.from({ length: 6 }, () => small.call('POST', '/api/users', { body: newPerson() })),
    );
    expect(registration.map(({ status }) => status)).toContain(503);
  });
});

test('GET /.well-known/jwks.json has the public key and nothing private', async () => {
  const reply = await api.call('GET', '/.well-known/jwks.json');
  expect(reply).toMatchObject({ status: 200, body: { keys: [{ kid: keys.keyId, alg: 'ES256' }] } });
  expect(JSON.stringify(reply.body)).not.toContain('"d"');
});

test('a key set without the private key stops the start', () => {
  const others = makeTestKeys();
  expect(() => readSigningKey(keys.privateKeyFile, others.jwksFile)).toThrow(/does not have the public key/);
  others.remove();
});

describe('GET /api/users/:id', () => {
  test('follows the table', async () => {
    const [self, other] = [await register(), await register()];
    const read = async (id: string, token?: string) =>
      api.call('GET', `/api/users/${id}`, token === undefined ? {} : { token });
    const mine = keys.token(self.id);
    const admin = keys.token(newUserId(), 'admin');

    expect((await read(self.id, mine)).body).toMatchObject({ id: self.id });
    expect((await read(other.id, admin)).body).toMatchObject({ id: other.id });
    expect(await read('42', mine)).toMatchObject(failure(400, 'invalid_id'));
    expect(await read('42')).toMatchObject(failure(401, 'unauthenticated'));
    expect(await read(self.id)).toMatchObject(failure(401, 'unauthenticated'));
    expect(await read(self.id, keys.token(self.id, 'fan', -5))).toMatchObject(failure(401, 'token_expired'));
    expect(await read(newUserId(), admin)).toMatchObject(failure(404, 'not_found'));
    for (const token of [mine, keys.token(self.id, 'organiser')]) {
      const [known, unknown] = [await read(other.id, token), await read(newUserId(), token)];
      expect(known).toMatchObject(failure(403, 'forbidden'));
      expect({ ...Object(unknown.body), requestId: '' }).toEqual({ ...Object(known.body), requestId: '' });
    }
  });
});

describe('POST /internal/users', () => {
  const token = signServiceToken(serviceTokenSecret, 'seed');
  const ensure = (body: object) => api.call('POST', '/internal/users', { token, body });

  test('makes an account once, and later gives it another role', async () => {
    const person = newPerson();
    const first = await ensure({ ...person, role: 'organiser' });
    expect(first).toMatchObject({ status: 201, body: { role: 'organiser' } });
    const again = await ensure({ ...person, role: 'organiser' });
    expect(again).toMatchObject({ status: 200, body: first.body });
    const raised = await ensure({ ...person, username: 'another_name', role: 'admin' });
    expect(raised).toMatchObject({
      status: 200,
      body: { id: idOf(first.body), username: person.username, role: 'admin' },
    });

    const session = await api.call('POST', '/api/sessions', { body: { email: person.email, password } });
    const { accessToken } = session.body as { accessToken: string };
    expect(createTokenVerifier(keys.jwksFile)(accessToken)).toMatchObject({ identity: { role: 'admin' } });
  });

  test('many at once make one account', async () => {
    const person = { ...newPerson(), role: 'fan' };
    const replies = await Promise.all(Array.from({ length: 10 }, () => ensure(person)));
    expect(new Set(replies.map(({ body }) => idOf(body))).size).toBe(1);
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
  });

  test('needs a service token, a role, and a free username', async () => {
    const known = await register();
    expect(await ensure({ ...newPerson(), username: known.username, role: 'fan' })).toMatchObject(
      failure(409, 'username_taken'),
    );
    expect(await ensure(newPerson())).toMatchObject(failure(400, 'invalid_request'));
    const admin = keys.token(newUserId(), 'admin');
    const reply = await api.call('POST', '/internal/users', { token: admin, body: { ...newPerson(), role: 'admin' } });
    expect(reply).toMatchObject(failure(401, 'unauthenticated'));
  });
});

describe('the database away', () => {
  test('is said as unavailable, and over when it is back', async () => {
    const person = await register();
    await mysql.kill();
    const token = keys.token(person.id);
    expect(await api.call('GET', `/api/users/${person.id}`, { token })).toMatchObject(failure(503, 'unavailable'));
    expect(await api.call('POST', '/api/users', { body: newPerson() })).toMatchObject(failure(503, 'unavailable'));
    await mysql.restart();
    expect((await api.call('GET', `/api/users/${person.id}`, { token })).status).toBe(200);
  });
});
