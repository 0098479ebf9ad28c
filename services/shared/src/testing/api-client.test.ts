import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { timeSchema } from '../contracts/common.ts';
import { buildOpenApi } from '../http/openapi.ts';
import { problem } from '../http/problem.ts';
import { noContent, route } from '../http/route.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { undocumented } from './documented.ts';
import { freePort } from './ports.ts';

const routes = [
  route({
    method: 'GET',
    path: '/things/:id',
    operationId: 'thing',
    summary: 'one',
    auth: 'none',
    params: z.strictObject({ id: z.string() }),
    replies: {
      200: { description: 'ok', schema: z.strictObject({ id: z.string(), at: timeSchema }) },
      204: { description: 'nothing' },
    },
    errors: ['not_found'],
    handler: () => noContent,
  }),
];
const document = buildOpenApi('Toy', 'For tests', routes).getSpec();
const good = { id: 'a', at: '2026-01-01T00:00:00.000Z' };
let answer = { status: 200, type: 'application/json', body: '' };
let server: Server;
let api: ApiClient;

beforeAll(async () => {
  server = createServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  api = createApiClient(`http://127.0.0.1:${port}`, document);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const answering = (status: number, body: unknown, type = 'application/json') => {
  answer = { status, type, body: typeof body === 'string' ? body : JSON.stringify(body) };
  return api.call('GET', '/things/a');
};

test('a reply as documented passes', async () => {
  expect((await answering(200, good)).body).toEqual(good);
  expect((await answering(204, '')).body).toBe('');
  const { body } = problem('not_found');
  expect((await answering(404, body, 'application/problem+json')).body).toEqual(body);
});

test.each<[string, number, unknown, string, RegExp]>([
  ['an undocumented status', 418, good, 'application/json', /418, which is not documented/],
  ['a missing member', 200, { id: 'a' }, 'application/json', /required property 'at'/],
  ['a member too many', 200, { ...good, password: 'x' }, 'application/json', /additional properties/],
  ['a wrong type', 200, { ...good, id: 1 }, 'application/json', /\/id must be string/],
  ['a time that is none', 200, { ...good, at: 'today' }, 'application/json', /\/at must match/],
  ['another content type', 200, JSON.stringify(good), 'text/plain', /as "text\/plain"; documented: application\/json/],
  ['a problem that is none', 404, { error: 'x' }, 'application/problem+json', /required property 'code'/],
  [
    'a problem of another kind',
    404,
    { ...Object(problem('not_found').body), code: 'not_documented' },
    'application/problem+json',
    /with the code not_documented; documented: `not_found`/,
  ],
  [
    'a problem sent as plain JSON',
    404,
    problem('not_found').body,
    'application/json',
    /documented: application\/problem/,
  ],
])('%s is found', async (_, status, body, type, message) => {
  await expect(answering(status, body, type)).rejects.toThrow(message);
});

test('an undocumented path is found', async () => {
  await expect(api.call('GET', '/others')).rejects.toThrow(/no such path/);
});

test('a route that the document lacks is found, and two of one name', () => {
  expect(undocumented(routes, document)).toEqual([]);
  const [first] = routes;
  if (first === undefined) throw new Error('no route');
  expect(undocumented([{ ...first, method: 'PUT' }], document)).toHaveLength(1);
  expect(undocumented([{ ...first, path: '/others' }], document)).toHaveLength(1);
  expect(undocumented([first, first], document)).toEqual(['two routes are called thing']);
});
