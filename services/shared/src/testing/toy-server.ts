import { z } from 'zod';
import { userIdSchema } from '../contracts/common.ts';
import { createTokenVerifier } from '../http/auth.ts';
import { Metrics } from '../http/metrics.ts';
import { buildOpenApi } from '../http/openapi.ts';
import { json, noContent, type Route, route } from '../http/route.ts';
import { HttpServer } from '../http/server.ts';
import { createLogger } from '../log.ts';
import { UnavailableError } from '../result.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { freePort } from './ports.ts';
import type { TestKeys } from './tokens.ts';

export const toyServiceSecret = 'a-service-token-secret-of-32-characters';

export interface ToyServer {
  server: HttpServer;
  port: number;
  url: string;
  api: ApiClient;
  /** Ends the requests to /slow that wait; one entry each. */
  slow: (() => void)[];
}

/** An HttpServer with one route of every form, on a free port: the transport's own tests run against it. */
export async function startToyServer(keys: TestKeys, inFlightMax = 100): Promise<ToyServer> {
  const slow: (() => void)[] = [];
  const routes = toyRoutes(slow);
  const server = new HttpServer({
    routes,
    log: createLogger('test', 'fatal'),
    metrics: new Metrics('test'),
    verifyToken: createTokenVerifier(keys.jwksFile),
    serviceTokenSecret: toyServiceSecret,
    inFlightMax,
  });
  const port = await freePort();
  await server.listen('127.0.0.1', port);
  const url = `http://127.0.0.1:${port}`;
  return { server, port, url, slow, api: createApiClient(url, buildOpenApi('Toy', 'For tests', routes).getSpec()) };
}

const itemReply = z.strictObject({ id: z.string(), userId: z.string().nullable() });
const echoBody = z.strictObject({ name: z.string().min(1), count: z.number().int() });
const textReply = z.strictObject({ length: z.number(), sha: z.string() });

const base = { errors: [], auth: 'none' } as const;
const okReply = { 200: { description: 'ok', schema: z.looseObject({}) } };
function toyRoutes(slow: (() => void)[]): Route[] {
  return [
    route({
      ...base,
      method: 'GET',
      path: '/things/:id',
      operationId: 'thing',
      summary: 'one',
      auth: 'user',
      params: z.strictObject({ id: userIdSchema }),
      replies: { 200: { description: 'ok', schema: itemReply } },
      handler: ({ params, identity }) => json(200, { id: params.id, userId: identity?.userId ?? null }),
    }),
    route({
      ...base,
      method: 'DELETE',
      path: '/things/:id',
      operationId: 'removeThing',
      summary: 'none',
      params: z.strictObject({ id: userIdSchema }),
      replies: { 204: { description: 'gone' } },
      handler: () => noContent,
    }),
    route({
      ...base,
      method: 'GET',
      path: '/names/:name',
      operationId: 'name',
      summary: 'text in the path',
      params: z.strictObject({ name: z.string() }),
      query: z.strictObject({ limit: z.coerce.number().int().max(5).default(5) }),
      replies: okReply,
      handler: ({ params, query }) => json(200, { name: params.name, limit: query.limit }),
    }),
    route({
      ...base,
      method: 'POST',
      path: '/echo',
      operationId: 'echo',
      summary: 'the same back',
      auth: 'optional',
      headers: z.object({ 'idempotency-key': z.string().max(8).optional() }),
      body: echoBody,
      replies: {
        200: { description: 'ok', schema: z.strictObject({ ...echoBody.shape, userId: z.string().nullable() }) },
      },
      handler: ({ body, identity }) => json(200, { ...body, userId: identity?.userId ?? null }),
    }),
    route({
      ...base,
      method: 'POST',
      path: '/raw',
      operationId: 'raw',
      summary: 'bytes',
      bodyMode: 'raw',
      replies: { 200: { description: 'ok', schema: textReply }, 413: { description: 'too large' } },
      handler: ({ rawBody }) => json(200, { length: rawBody.length, sha: rawBody.toString('latin1').slice(0, 4) }),
    }),
    route({
      ...base,
      method: 'POST',
      path: '/internal/thing',
      operationId: 'internalThing',
      summary: 'for services',
      auth: 'service',
      replies: okReply,
      handler: () => json(200, {}),
    }),
    ...(['throws', 'rejects', 'away'] as const).map((name) =>
      route({
        ...base,
        method: 'GET',
        path: `/${name}`,
        operationId: name,
        summary: 'fails',
        replies: okReply,
        handler: () => {
          if (name === 'away') throw new UnavailableError('secret host 10.0.0.9 is down');
          if (name === 'throws') throw new Error('secret detail');
          return Promise.reject(new Error('secret detail'));
        },
      }),
    ),
    route({
      ...base,
      method: 'GET',
      path: '/slow',
      operationId: 'slow',
      summary: 'waits',
      replies: okReply,
      handler: () => new Promise((resolve) => slow.push(() => resolve(json(200, { done: true })))),
    }),
  ];
}
