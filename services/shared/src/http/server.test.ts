import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newUserId } from '../ids.ts';
import { limits } from '../limits.ts';
import type { ApiClient } from '../testing/api-client.ts';
import { makeTestKeys } from '../testing/tokens.ts';
import { startToyServer, type ToyServer } from '../testing/toy-server.ts';

const keys = makeTestKeys();
const userId = newUserId();
let toy: ToyServer;
let api: ApiClient;

beforeAll(async () => {
  toy = await startToyServer(keys);
  api = toy.api;
});

afterAll(async () => {
  await toy?.server.drain(1_000);
  keys.remove();
});

const problemOf = (code: string) =>
  expect.objectContaining({ code, requestId: expect.stringMatching(/^[\w.-]{8,64}$/) });

describe('bodies', () => {
  const good = { name: 'ä', count: 1 };
  test('a valid body reaches the handler', async () => {
    expect((await api.call('POST', '/echo', { body: good })).body).toEqual({ ...good, userId: null });
  });

  test.each([
    ['no JSON', '{"name":', 400, 'malformed_json'],
    ['nothing', '', 400, 'malformed_json'],
    ['JSON twice', '{}{}', 400, 'malformed_json'],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 400, 'malformed_json'],
    ['a list', '[]', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['a wrong type', '{"name":1,"count":1}', 400, 'invalid_request'],
    ['a fraction', '{"name":"a","count":1.5}', 400, 'invalid_request'],
    ['a number too large to be one', '{"name":"a","count":1e999}', 400, 'invalid_request'],
    ['an unknown key', '{"name":"a","count":1,"more":1}', 400, 'invalid_request'],
    ['__proto__ as a key', '{"name":"a","count":1,"__proto__":{"x":1}}', 400, 'invalid_request'],
  ])('%s is refused', async (_, rawBody, status, code) => {
    const reply = await api.call('POST', '/echo', { rawBody });
    expect(reply).toMatchObject({ status, body: problemOf(code) });
  });

  test('the faults are named by their path', async () => {
    const reply = await api.call('POST', '/echo', { body: { name: '', more: 1 } });
    expect(reply.body).toMatchObject({
      errors: expect.arrayContaining([
        expect.objectContaining({ path: 'name' }),
        expect.objectContaining({ path: 'count' }),
      ]),
    });
  });

  test('a header that does not fit its schema is refused', async () => {
    const reply = await api.call('POST', '/echo', { body: good, headers: { 'idempotency-key': 'longer than 8' } });
    expect(reply.body).toMatchObject({ code: 'invalid_request', errors: [{ path: 'headers.idempotency-key' }] });
  });

  test.each(['text/plain', 'application/jsonx', 'application/x-www-form-urlencoded', ''])(
    'content type "%s" is refused',
    async (type) => {
      const reply = await api.call('POST', '/echo', { body: good, headers: { 'content-type': type } });
      expect(reply).toMatchObject({ status: 415, body: problemOf('unsupported_media_type') });
    },
  );

  test('a content type may have parameters and any case', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await api.call('POST', '/echo', { body: good, headers })).status).toBe(200);
  });

  test('1 MB gets a 413 and not a reset, with its length given and without', async () => {
    const rawBody = JSON.stringify({ name: 'x'.repeat(1024 * 1024), count: 1 });
    for (let round = 0; round < 5; round += 1) {
      expect(await api.call('POST', '/echo', { rawBody })).toMatchObject({
        status: 413,
        body: problemOf('payload_too_large'),
      });
      const stream = new Blob([rawBody]).stream();
      const chunked = await fetch(`${toy.url}/echo`, {
        method: 'POST',
        body: stream,
        duplex: 'half',
        headers: { 'content-type': 'application/json' },
      });
      expect(chunked.status).toBe(413);
      expect(await chunked.json()).toMatchObject({ code: 'payload_too_large' });
    }
  });

  test('a client that sends all of its 1 MB before it reads still gets the 413', async () => {
    const body = 'x'.repeat(1024 * 1024);
    const head = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    // The next request on the same connection proves that the rest of the large body was not taken for one.
    const answer = await talk(
      `${head}${body}GET /names/after?limit=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      '"after"',
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('{"name":"after","limit":1}');
  });

  test('the largest allowed body is taken, one byte more is not', async () => {
    const fit = Buffer.alloc(limits.bodyBytesMax, 'a');
    expect((await api.call('POST', '/raw', { rawBody: fit })).body).toEqual({ length: fit.length, sha: 'aaaa' });
    const more = Buffer.alloc(limits.bodyBytesMax + 1, 'a');
    expect((await fetch(`${toy.url}/raw`, { method: 'POST', body: more })).status).toBe(413);
  });
});

describe('addresses and methods', () => {
  test('an unknown address is a 404 problem', async () => {
    const response = await fetch(`${toy.url}/nowhere`, { method: 'POST', body: 'x' });
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual(problemOf('not_found'));
  });

  test.each(['PUT', 'POST', 'OPTIONS'])('%s of a path without it is a 405 that names the others', async (method) => {
    const reply = await api.call(method, `/things/${userId}`, method === 'OPTIONS' ? {} : { body: {} });
    expect(reply).toMatchObject({ status: 405, body: problemOf('method_not_allowed') });
    expect(reply.headers.get('allow')).toBe('GET, HEAD, DELETE');
  });

  test('HEAD is GET without the body', async () => {
    const get = await api.call('GET', '/names/x');
    const head = await api.call('HEAD', '/names/x');
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers.get('content-length')).toBe(String(JSON.stringify(get.body).length));
    expect((await api.call('HEAD', '/echo')).status).toBe(405);
    expect((await fetch(`${toy.url}/nowhere`, { method: 'HEAD' })).status).toBe(404);
  });

  test('204 has no body', async () => {
    const reply = await api.call('DELETE', `/things/${userId}`);
    expect(reply).toMatchObject({ status: 204, body: '' });
    // A length, even a wrong one, makes some clients wait for a body.
    expect(reply.headers.get('content-length')).toBeNull();
  });

  test.each([
    ['a%3Ab%20c', 'a:b c'],
    ['%C3%A4', 'ä'],
    ['a+b', 'a+b'],
  ])('%s in a path means %s', async (written, name) => {
    expect((await api.call('GET', `/names/${written}`)).body).toMatchObject({ name });
  });

  test('an id that is none, or no text at all, is invalid_id', async () => {
    for (const path of ['/names/%FF', '/names/%zz']) {
      expect(await api.call('GET', path)).toMatchObject({ status: 400, body: problemOf('invalid_id') });
    }
    const token = keys.token(userId);
    expect(await api.call('GET', '/things/17', { token })).toMatchObject({
      status: 400,
      body: problemOf('invalid_id'),
    });
  });

  test.each(['limit=6', 'limit=x', 'more=1'])('the query %s is refused', async (query) => {
    expect(await api.call('GET', `/names/x?${query}`)).toMatchObject({
      status: 400,
      body: problemOf('invalid_request'),
    });
  });

  test('a request id is taken over when it is plain, and made when it is not', async () => {
    const given = await api.call('GET', '/names/x', { headers: { 'x-request-id': 'abc-12345' } });
    expect(given.headers.get('x-request-id')).toBe('abc-12345');
    const strange = await api.call('GET', '/names/x', { headers: { 'x-request-id': 'a b"<c>' } });
    expect(strange.headers.get('x-request-id')).toMatch(/^[\w-]{8,64}$/);
  });
});

describe('faults and load', () => {
  test.each([
    ['/throws', 500, 'internal'],
    ['/rejects', 500, 'internal'],
    ['/away', 503, 'unavailable'],
  ])('%s answers %i and nothing of the inside', async (path, status, code) => {
    const reply = await api.call('GET', path);
    expect(reply).toMatchObject({ status, body: problemOf(code) });
    expect(JSON.stringify(reply.body)).not.toMatch(/secret|10\.0\.0\.9/);
    expect(reply.headers.get('retry-after')).toBe(status === 503 ? '1' : null);
  });

  test('a client that goes away during the handler does no harm', async () => {
    const leaving = new AbortController();
    const gone = api.call('GET', '/slow', { signal: leaving.signal });
    await vi.waitFor(() => expect(toy.slow).toHaveLength(1));
    leaving.abort();
    await expect(gone).rejects.toThrow();
    toy.slow.pop()?.();
    expect((await api.call('GET', '/names/x')).status).toBe(200);
  });

  test('more requests than may be under way are answered overloaded; a drain waits for those under way', async () => {
    const small = await startToyServer(keys, 1);
    await expect(toy.server.listen('127.0.0.1', small.port)).rejects.toThrow(/in use/);
    const waiting = small.api.call('GET', '/slow');
    await vi.waitFor(() => expect(small.slow).toHaveLength(1));
    expect(await small.api.call('GET', '/names/x')).toMatchObject({ status: 503, body: problemOf('overloaded') });

    const drained = small.server.drain(5_000);
    small.slow.pop()?.();
    const last = await waiting;
    expect(last.status).toBe(200);
    expect(last.headers.get('connection')).toBe('close');
    await drained;
    await expect(fetch(`${small.url}/names/x`)).rejects.toThrow();
  });
});

/** Sends bytes and reads until `expected` came or the server closed. */
async function talk(bytes: string, expected: string): Promise<string> {
  const socket = connect(toy.port, '127.0.0.1');
  await once(socket, 'connect');
  let answer = '';
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(5_000, () => reject(new Error(`no answer: ${answer}`)));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes(expected)) resolve();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.write(bytes);
  });
  socket.destroy();
  return answer;
}
