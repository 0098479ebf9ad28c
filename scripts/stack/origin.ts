import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';
import { Readable } from 'node:stream';
import type { ErrorCode } from '@frontrow/shared/errors.ts';
import { problem } from '@frontrow/shared/http/problem.ts';
import { limits } from '@frontrow/shared/limits.ts';
import { createProxyServer } from 'httpxy';
import { type OriginTargets, routeOf } from './routes.ts';

export interface OriginOptions {
  targets: OriginTargets;
  /** The built web client; the welcome page stands in for it as long as there is none. */
  webFolder: string;
  welcomeFile: string;
  /** Hears of upstreams that do not answer, at most once a second each. */
  warn?: (message: string) => void;
}

const upstreamTimeoutMs = 30_000;
const upstreamConnectionsMax = 256;
/** uWebSockets.js closes a connection that was idle for 10 s; one that is taken up again at that moment would fail. */
const upstreamIdleMs = 4_000;
const retryAfterS = 2;
/** How long the rest of a body that is too large is read. */
const patienceMs = 5_000;

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
};

/** The one address that a browser knows: sends each path to its service and serves the web client. */
export function createOrigin(options: OriginOptions): Server {
  const warn = oncePerSecond(options.warn ?? (() => undefined));
  const agent = new Agent({ keepAlive: true, maxSockets: upstreamConnectionsMax, timeout: upstreamIdleMs });
  const proxy = createProxyServer({ agent, proxyTimeout: upstreamTimeoutMs, upgradeTimeout: upstreamTimeoutMs });
  proxy.on('error', (error, _request, response, target) => {
    warn(`${target instanceof URL ? target.origin : String(target)} does not answer: ${error.message}`);
    if (response && 'writeHead' in response) answerUnavailable(response);
    else response?.end(upgradeRefusal(503, 'Service Unavailable'));
  });

  const pass = async (request: IncomingMessage, response: ServerResponse, target: string, path: string | undefined) => {
    const body = await readUnsizedBody(request);
    if (body === 'too_large' || Number(request.headers['content-length'] ?? 0) > limits.bodyBytesMax) {
      return answerTooLarge(request, response);
    }
    nameTheClient(request);
    if (path !== undefined) request.url = path;
    await proxy.web(request, response, body ? { target, buffer: Readable.from([body]) } : { target });
  };

  const server = createServer((request, response) => {
    const route = routeOf(pathOf(request), options.targets);
    if (route.kind === 'hidden') return answerProblem(response, 'not_found');
    if (route.kind === 'health') return answerText(response, 200, 'application/json', '{"status":"ready"}');
    if (route.kind === 'web') return serveWeb(request, response, options);
    // A request that broke off has nobody to answer to; an upstream that did is answered by the proxy's error event.
    pass(request, response, route.target, route.path).catch(() => undefined);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const route = routeOf(pathOf(request), options.targets);
    if (route.kind !== 'service') return void socket.end(upgradeRefusal(404, 'Not Found'));
    nameTheClient(request);
    proxy.ws(request, socket, { target: route.target }, head).catch(() => undefined);
  });
  server.on('close', () => agent.destroy());
  return server;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

/** This is the edge: what a client claims about itself is replaced by what is seen. */
function nameTheClient(request: IncomingMessage): void {
  delete request.headers.forwarded;
  request.headers['x-forwarded-for'] = request.socket.remoteAddress ?? '';
  request.headers['x-forwarded-proto'] = 'http';
  request.headers['x-forwarded-host'] = request.headers.host ?? '';
}

/**
 * A body that comes in chunks has no length to judge it by: it is read here, up to the limit, and passed on with one.
 * @returns undefined when the request says its length (or has no body): that one is streamed.
 */
function readUnsizedBody(request: IncomingMessage): Promise<Buffer | 'too_large' | undefined> {
  if (request.headers['transfer-encoding'] === undefined) return Promise.resolve(undefined);
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limits.bodyBytesMax) chunks.push(chunk);
      else resolve('too_large');
    });
    request.once('end', () => {
      delete request.headers['transfer-encoding'];
      request.headers['content-length'] = String(bytes);
      resolve(Buffer.concat(chunks));
    });
    request.once('error', reject);
  });
}

function serveWeb(request: IncomingMessage, response: ServerResponse, options: OriginOptions): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return answerProblem(response, 'method_not_allowed');
  }
  const index = join(options.webFolder, 'index.html');
  if (!existsSync(index)) return serveWelcome(request, response, options.welcomeFile);
  const asked = fileIn(options.webFolder, pathOf(request));
  // The client has addresses of its own (/concerts/7): whatever is no file is its business; a missing asset is missing.
  if (asked === undefined && extname(pathOf(request)) !== '') return answerProblem(response, 'not_found');
  const file = asked ?? index;
  const hashed = /[.-][\w-]{8,}\.\w+$/.test(file);
  response.writeHead(200, {
    'Content-Type': contentTypes[extname(file)] ?? 'application/octet-stream',
    'Cache-Control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    'X-Content-Type-Options': 'nosniff',
  });
  if (request.method === 'HEAD') return void response.end();
  createReadStream(file).pipe(response);
}

/** The file of a path below a folder; undefined when there is none, or the path leads out of the folder. */
function fileIn(folder: string, path: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  if (decoded.includes('\0')) return undefined;
  const file = normalize(join(folder, decoded));
  if (!file.startsWith(folder + sep)) return undefined;
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : undefined;
}

function serveWelcome(request: IncomingMessage, response: ServerResponse, file: string): void {
  if (pathOf(request) !== '/') return answerProblem(response, 'not_found');
  const host = request.headers.host ?? '';
  // The page's examples name the address that it was asked at.
  const page = readFileSync(file, 'utf8').replaceAll(
    'localhost:8080',
    /^[\w.:[\]-]+$/.test(host) ? host : 'localhost:8080',
  );
  answerText(response, 200, 'text/html; charset=utf-8', request.method === 'HEAD' ? '' : page);
}

function answerUnavailable(response: ServerResponse): void {
  // Half an answer cannot be taken back: the client must see that it broke off.
  if (response.headersSent) return void response.destroy();
  response.setHeader('Retry-After', String(retryAfterS));
  answerProblem(response, 'unavailable');
}

/** A client that is still sending reads the answer only afterwards; so what it sends is taken, and thrown away, for a while. */
function answerTooLarge(request: IncomingMessage, response: ServerResponse): void {
  answerProblem(response, 'payload_too_large');
  request.resume();
  const impatience = setTimeout(() => request.destroy(), patienceMs);
  request.once('close', () => clearTimeout(impatience));
}

function answerProblem(response: ServerResponse, code: ErrorCode): void {
  const requestId = randomUUID();
  const { status, body } = problem(code);
  response.setHeader('X-Request-Id', requestId);
  answerText(response, status, 'application/problem+json', JSON.stringify({ ...Object(body), requestId }));
}

function answerText(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(text);
}

function upgradeRefusal(status: number, reason: string): string {
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

function oncePerSecond(warn: (message: string) => void): (message: string) => void {
  const lastAt = new Map<string, number>();
  return (message) => {
    if (Date.now() - (lastAt.get(message) ?? 0) < 1_000) return;
    lastAt.set(message, Date.now());
    warn(message);
  };
}
