import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Logger } from '../log.ts';
import { UnavailableError } from '../result.ts';
import { bearerToken, type Identity, type TokenVerifier, verifyServiceToken } from './auth.ts';
import type { Metrics } from './metrics.ts';
import { problem } from './problem.ts';
import type { Reply, Request, Route } from './route.ts';
import { type HttpRequest, type HttpResponse, loadUws, type TemplatedApp } from './uws.ts';

interface ServerOptions {
  routes: readonly Route[];
  log: Logger;
  metrics: Metrics;
  /** Needed when a route has `auth: 'user'` or `'optional'`. */
  verifyToken?: TokenVerifier;
  serviceTokenSecret: string;
  /** Requests under way at once; more are answered `overloaded`. */
  inFlightMax?: number;
}

interface Incoming {
  route: Route;
  requestId: string;
  authorization: string;
  contentType: string;
  contentLength: number;
  /** Null when the path's escapes are no text. */
  params: Record<string, string> | null;
  query: string;
  headers: Record<string, string>;
  startedAt: bigint;
  head: boolean;
  aborted: boolean;
}

/**
 * HTTP over uWebSockets.js. Only this file touches `res`: handlers get a plain Request and return a plain Reply.
 * The life of a request: route -> method -> token -> size and type -> body -> schemas -> handler -> reply in one cork.
 */
export class HttpServer {
  readonly app: TemplatedApp;
  readonly #uws = loadUws();
  readonly #options: ServerOptions;
  readonly #inFlightMax: number;
  readonly #requestIdPrefix = `${process.pid.toString(36)}${Date.now().toString(36)}-`;
  #requestCount = 0;
  #inFlight = 0;
  #draining = false;
  #listenSocket: unknown = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#inFlightMax = options.inFlightMax ?? 20_000;
    this.app = this.#uws.App();
    for (const [path, methods] of byPath(options.routes)) {
      this.app.any(path, (res, req) => this.#dispatch(path, methods, res, req));
    }
    this.app.any('/*', (res, req) => {
      res.onAborted(() => {});
      this.#send(
        res,
        this.#requestId(req),
        problem('not_found', { detail: 'No such address. See /docs.' }),
        req.getMethod() === 'head',
      );
    });
  }

  /** @param shared true lets several processes listen on this port (SO_REUSEPORT). */
  listen(host: string, port: number, shared = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const listening = (socket: unknown) => {
        this.#listenSocket = socket;
        if (socket) resolve();
        else reject(new Error(`Port ${port} of ${host} is in use.`));
      };
      const listen: (...args: unknown[]) => unknown = this.app.listen.bind(this.app) as (...args: unknown[]) => unknown;
      if (shared) listen(host, port, listening);
      else listen(host, port, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, listening);
    });
  }

  /** Stops accepting and waits for the requests under way, at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (this.#listenSocket) this.#uws.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = null;
    const deadline = Date.now() + timeoutMs;
    while (this.#inFlight > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  #dispatch(path: string, methods: Map<string, Route>, res: HttpResponse, req: HttpRequest): void {
    const method = req.getMethod();
    const route = methods.get(method === 'head' ? 'get' : method);
    const requestId = this.#requestId(req);
    if (route === undefined) {
      res.onAborted(() => {});
      const allow = [...methods.keys()].map((name) => (name === 'get' ? 'GET, HEAD' : name.toUpperCase())).join(', ');
      this.#send(
        res,
        requestId,
        problem('method_not_allowed', { detail: `${path} takes ${allow}.`, headers: { allow } }),
        method === 'head',
      );
      return;
    }
    // `req` dies with this call, so all that is needed is read now.
    const incoming: Incoming = {
      route,
      requestId,
      authorization: req.getHeader('authorization'),
      contentType: req.getHeader('content-type'),
      contentLength: Number(req.getHeader('content-length') || 0),
      params: readParams(route, req),
      query: route.query ? req.getQuery() : '',
      headers: readHeaders(route, req),
      startedAt: process.hrtime.bigint(),
      head: method === 'head',
      aborted: false,
    };
    res.onAborted(() => {
      incoming.aborted = true;
    });
    this.#receive(res, incoming);
  }

  #receive(res: HttpResponse, incoming: Incoming): void {
    const { route } = incoming;
    if (this.#inFlight >= this.#inFlightMax) return this.#finish(res, incoming, problem('overloaded'));
    const auth = this.#authenticate(route, incoming.authorization);
    if ('failure' in auth) return this.#finish(res, incoming, problem(auth.failure));
    if (!route.body && route.bodyMode !== 'raw') {
      return this.#handle(res, incoming, auth.identity, Buffer.alloc(0));
    }
    const bytesMax = route.bodyBytesMax ?? limits.bodyBytesMax;
    if (incoming.contentLength > bytesMax) return this.#finish(res, incoming, tooLarge(bytesMax));
    if (route.bodyMode !== 'raw' && !jsonContentType.test(incoming.contentType)) {
      return this.#finish(res, incoming, problem('unsupported_media_type'));
    }
    readBody(res, bytesMax, (body) => {
      if (body === null) this.#finish(res, incoming, tooLarge(bytesMax));
      else this.#handle(res, incoming, auth.identity, body);
    });
  }

  #authenticate(route: Route, authorization: string): { identity: Identity | null } | { failure: ErrorCode } {
    if (route.auth === 'none') return { identity: null };
    const token = bearerToken(authorization);
    if (route.auth === 'service') {
      return verifyServiceToken(this.#options.serviceTokenSecret, token) === null
        ? { failure: 'unauthenticated' }
        : { identity: null };
    }
    if (authorization === '' && route.auth === 'optional') return { identity: null };
    if (token === '' || this.#options.verifyToken === undefined) return { failure: 'unauthenticated' };
    return this.#options.verifyToken(token);
  }

  #handle(res: HttpResponse, incoming: Incoming, identity: Identity | null, rawBody: Buffer): void {
    const parsed = parseRequest(incoming, identity, rawBody);
    if ('problem' in parsed) return this.#finish(res, incoming, parsed.problem);
    this.#inFlight += 1;
    let reply: Reply | Promise<Reply>;
    try {
      reply = incoming.route.handler(parsed.request);
    } catch (error) {
      reply = this.#fault(incoming, error);
    }
    if (reply instanceof Promise) {
      reply
        .catch((error: unknown) => this.#fault(incoming, error))
        .then((settled) => {
          this.#inFlight -= 1;
          this.#finish(res, incoming, settled);
        });
    } else {
      this.#inFlight -= 1;
      this.#finish(res, incoming, reply);
    }
  }

  #fault(incoming: Incoming, error: unknown): Reply {
    const { requestId, route } = incoming;
    if (error instanceof UnavailableError) {
      this.#options.log.warn(
        { requestId, operation: route.operationId, reason: error.message },
        'a dependency is unavailable',
      );
      return problem('unavailable');
    }
    this.#options.log.error(
      { requestId, operation: route.operationId, err: error },
      'a request failed by a fault of ours',
    );
    return problem('internal');
  }

  #finish(res: HttpResponse, incoming: Incoming, reply: Reply): void {
    const { route, requestId } = incoming;
    const seconds = Number(process.hrtime.bigint() - incoming.startedAt) / 1e9;
    this.#options.metrics.requestSeconds.observe(
      { route: route.path, method: route.method, status: reply.status },
      seconds,
    );
    this.#options.log.debug({ requestId, operation: route.operationId, status: reply.status, seconds }, 'request');
    if (!incoming.aborted) this.#send(res, requestId, reply, incoming.head);
  }

  #send(res: HttpResponse, requestId: string, reply: Reply, head: boolean): void {
    const headers = reply.headers ?? {};
    const payload = encodeBody(reply, requestId);
    res.cork(() => {
      res.writeStatus(`${reply.status} ${STATUS_CODES[reply.status] ?? ''}`);
      res.writeHeader('x-request-id', requestId);
      if (payload !== undefined && headers['content-type'] === undefined)
        res.writeHeader('content-type', 'application/json');
      for (const name in headers) res.writeHeader(name, headers[name] ?? '');
      if (payload !== undefined && !head) res.end(payload, this.#draining);
      else if (payload === undefined && (reply.status === 204 || reply.status === 304)) {
        // Called with `undefined`, it would send a Content-Length of 2^63, and clients that read it wait for the body.
        if (this.#draining) res.writeHeader('connection', 'close');
        res.endWithoutBody();
      } else res.endWithoutBody(payload === undefined ? 0 : Buffer.byteLength(payload), this.#draining);
    });
  }

  #requestId(req: HttpRequest): string {
    const given = req.getHeader('x-request-id');
    if (/^[\w.-]{8,64}$/.test(given)) return given;
    this.#requestCount += 1;
    return this.#requestIdPrefix + this.#requestCount.toString(36);
  }
}

const jsonContentType = /^application\/json[ \t]*(;|$)/i;

const tooLarge = (bytesMax: number): Reply =>
  problem('payload_too_large', { detail: `Send at most ${bytesMax} bytes.` });

function byPath(routes: readonly Route[]): Map<string, Map<string, Route>> {
  const paths = new Map<string, Map<string, Route>>();
  for (const route of routes) {
    const methods = paths.get(route.path) ?? new Map<string, Route>();
    methods.set(route.method.toLowerCase(), route);
    paths.set(route.path, methods);
  }
  return paths;
}

const paramNames = new WeakMap<Route, string[]>();

function readParams(route: Route, req: HttpRequest): Record<string, string> | null {
  let names = paramNames.get(route);
  if (names === undefined) {
    names = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
    paramNames.set(route, names);
  }
  const params: Record<string, string> = {};
  for (let index = 0; index < names.length; index += 1) {
    const text = unescaped(req.getParameter(index) ?? '');
    if (text === null) return null;
    params[names[index] ?? ''] = text;
  }
  return params;
}

/** A part of a path, as the client meant it; uWebSockets.js hands it over as it was sent. */
function unescaped(text: string): string | null {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function readHeaders(route: Route, req: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  if (!(route.headers instanceof z.ZodObject)) return headers;
  for (const name in route.headers.shape) {
    const value = req.getHeader(name);
    if (value !== '') headers[name] = value;
  }
  return headers;
}

/** Collects the body; calls back with null as soon as it is larger than `bytesMax`. */
function readBody(res: HttpResponse, bytesMax: number, done: (body: Buffer | null) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  res.onData((chunk, isLast) => {
    if (ended) return;
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      ended = true;
      done(null);
      return;
    }
    // The chunk's memory is gone after this call: copy it.
    chunks.push(Buffer.from(new Uint8Array(chunk)));
    if (!isLast) return;
    ended = true;
    done(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  });
}

/** Refuses bytes that are no UTF-8, where Buffer would put a replacement character. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

function parseRequest(
  incoming: Incoming,
  identity: Identity | null,
  rawBody: Buffer,
): { request: Request } | { problem: Reply } {
  const { route, requestId } = incoming;
  const request: Request = {
    requestId,
    params: undefined,
    query: undefined,
    headers: undefined,
    body: undefined,
    identity,
    rawBody,
  };
  if (route.params) {
    if (incoming.params === null) return { problem: problem('invalid_id') };
    const parsed = route.params.safeParse(incoming.params);
    if (!parsed.success) return { problem: problem('invalid_id', { errors: issuesOf(parsed.error, 'path') }) };
    request.params = parsed.data;
  }
  if (route.query) {
    const parsed = route.query.safeParse(Object.fromEntries(new URLSearchParams(incoming.query)));
    if (!parsed.success) return { problem: invalid(parsed.error, 'query') };
    request.query = parsed.data;
  }
  if (route.headers) {
    const parsed = route.headers.safeParse(incoming.headers);
    if (!parsed.success) return { problem: invalid(parsed.error, 'headers') };
    request.headers = parsed.data;
  }
  if (route.body && route.bodyMode !== 'raw') {
    let value: unknown;
    try {
      value = JSON.parse(strictUtf8.decode(rawBody));
    } catch {
      return { problem: problem('malformed_json') };
    }
    const parsed = route.body.safeParse(value);
    if (!parsed.success) return { problem: invalid(parsed.error, '') };
    request.body = parsed.data;
  }
  return { request };
}

const invalid = (error: z.ZodError, place: string): Reply =>
  problem('invalid_request', { errors: issuesOf(error, place) });

function issuesOf(error: z.ZodError, place: string): { path: string; code: string; message: string }[] {
  return error.issues.slice(0, 20).map((issue) => ({
    path: [place, ...issue.path].filter((part) => part !== '').join('.'),
    code: issue.code,
    message: issue.message,
  }));
}

function encodeBody(reply: Reply, requestId: string): string | Uint8Array | undefined {
  const { body } = reply;
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  if (reply.status >= 400 && typeof body === 'object' && body !== null && 'requestId' in body)
    return JSON.stringify({ ...body, requestId });
  return JSON.stringify(body);
}
