import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { projectRoot } from './files.ts';
import { createOrigin } from './origin.ts';
import { findFreePorts } from './ports.ts';
import { type OriginTargets, routeOf } from './routes.ts';

const names = {
  user: 'http://u',
  booking: 'http://b',
  payment: 'http://p',
  userOps: 'http://uo',
  bookingOps: 'http://bo',
  paymentOps: 'http://po',
};

test.each([
  ['/api/users', 'http://u'],
  ['/api/users/me', 'http://u'],
  ['/api/sessions/refresh', 'http://u'],
  ['/.well-known/jwks.json', 'http://u'],
  ['/api/concerts/7/holds', 'http://b'],
  ['/api/holds/x', 'http://b'],
  ['/api/bookings', 'http://b'],
  ['/socket.io/', 'http://b'],
  ['/api/payments', 'http://p'],
  ['/api/webhooks/sandbox', 'http://p'],
  ['/docs/errors', 'http://bo'],
])('%s goes to %s', (path, target) => {
  expect(routeOf(path, names)).toEqual({ kind: 'service', target });
});

test.each([
  ['/docs/user', 'http://uo', '/docs'],
  ['/docs/booking/', 'http://bo', '/docs'],
  ['/docs/payment/openapi.json', 'http://po', '/docs/openapi.json'],
])('%s is a document of %s', (path, target, there) => {
  expect(routeOf(path, names)).toEqual({ kind: 'service', target, path: there });
});

test.each([
  '/internal/concerts/1/reset',
  '/internal',
  '/metrics',
  '/v1/ledger',
  '/openapi.json',
  '/api/unknown',
  '/api/usersx',
  '/docs/sandbox',
  '/docs/constructor',
  '/api/concerts/../../internal/concerts',
  '/api/concerts/%2e%2e/internal',
  '/api/concerts%2f..%2finternal',
  '//internal/concerts',
  '/api/concerts/..\\internal',
])('%s is not there', (path) => {
  expect(routeOf(path, names)).toEqual({ kind: 'hidden' });
});

test.each(['/', '/concerts/7', '/assets/app.js', '/internals'])('%s is the web client', (path) => {
  expect(routeOf(path, names)).toEqual({ kind: 'web' });
});

let folder = '';
let upstream: Server;
let origin: Server;
let base = '';
const warnings: string[] = [];

/** Answers with what it was asked, so that a test sees what arrived. */
function echo(request: IncomingMessage, chunks: Buffer[]): string {
  const { method, url, headers } = request;
  return JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-origin-'));
  upstream = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(201, { 'content-type': 'application/json', etag: '"7"' });
      response.end(echo(request, chunks));
    });
  });
  upstream.on('upgrade', (request, socket) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Url: ${request.url}\r\n\r\n`,
    );
    socket.on('data', (chunk: Buffer) => socket.write(`heard ${chunk.toString()}`));
    socket.on('error', () => socket.destroy());
  });
  const service = await listen(upstream);
  const [nobody = 0] = await findFreePorts(1);
  const targets: OriginTargets = {
    user: service,
    booking: service,
    payment: `http://127.0.0.1:${nobody}`,
    userOps: service,
    bookingOps: service,
    paymentOps: service,
  };
  origin = createOrigin({
    targets,
    webFolder: join(folder, 'web'),
    welcomeFile: join(projectRoot, 'scripts/stack/welcome.html'),
    warn: (message) => warnings.push(message),
  });
  base = await listen(origin);
});
afterAll(() => {
  for (const server of [origin, upstream]) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true, force: true });
});

function listen(server: Server): Promise<string> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
}

/** fetch() would tidy up the path before sending it. */
function rawGet(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(base, { path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

test('a request passes with its query, body and headers, and the answer comes back whole', async () => {
  const response = await fetch(`${base}/api/concerts/7/holds?x=1`, {
    method: 'POST',
    body: '{"seats":["A-1-1"]}',
    headers: { 'idempotency-key': 'k1', 'content-type': 'application/json' },
  });
  expect(response.status).toBe(201);
  expect(response.headers.get('etag')).toBe('"7"');
  expect(await response.json()).toMatchObject({
    method: 'POST',
    url: '/api/concerts/7/holds?x=1',
    body: '{"seats":["A-1-1"]}',
    headers: { 'idempotency-key': 'k1' },
  });
});

test('the client is named by what is seen of it, not by what it says', async () => {
  const response = await fetch(`${base}/api/concerts`, {
    headers: { 'x-forwarded-for': '1.2.3.4', forwarded: 'for=1.2.3.4' },
  });
  const arrived = await response.json();
  expect(arrived).toMatchObject({ headers: { 'x-forwarded-for': '127.0.0.1' } });
  expect(arrived).not.toHaveProperty('headers.forwarded');
});

test('documents are found at their service', async () => {
  const response = await fetch(`${base}/docs/booking/openapi.json`);
  expect(await response.json()).toMatchObject({ url: '/docs/openapi.json' });
});

test('a service that does not answer is unavailable, with a time to come back', async () => {
  const response = await fetch(`${base}/api/payments/1`);
  expect(response.status).toBe(503);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  const requestId = response.headers.get('x-request-id');
  expect(await response.json()).toMatchObject({ code: 'unavailable', status: 503, retryable: true, requestId });
  expect(warnings.join()).toContain('does not answer');
});

test.each(['/internal/concerts', '/metrics', '/v1/ledger', '/api/concerts/../../internal/concerts'])(
  '%s is a problem document',
  async (path) => {
    expect(await rawGet(path)).toBe(404);
  },
);

test('a body that is too large is refused here, whether it says its length or not', async () => {
  const large = Buffer.alloc(1_000_000, 'x');
  const sized = await fetch(`${base}/api/concerts/7/holds`, { method: 'POST', body: large });
  expect(sized.status).toBe(413);
  expect(await sized.json()).toMatchObject({ code: 'payload_too_large' });
  const chunked = await fetch(`${base}/api/concerts/7/holds`, {
    method: 'POST',
    body: Readable.toWeb(Readable.from([large])) as ReadableStream,
    duplex: 'half',
  });
  expect(chunked.status).toBe(413);
});

test('a body in chunks arrives with its length', async () => {
  const parts = Readable.toWeb(Readable.from([Buffer.from('{"a":'), Buffer.from('1}')])) as ReadableStream;
  const response = await fetch(`${base}/api/concerts/7/holds`, { method: 'POST', body: parts, duplex: 'half' });
  expect(await response.json()).toMatchObject({ body: '{"a":1}', headers: { 'content-length': '7' } });
});

test('a websocket passes both ways', async () => {
  const socket = connect({ port: Number(new URL(base).port), host: '127.0.0.1' });
  socket.write('GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const heard = await new Promise<string>((resolve) => {
    let text = '';
    let asked = false;
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!asked && text.includes('\r\n\r\n')) {
        asked = true;
        socket.write('hello');
      }
      if (text.includes('heard hello')) resolve(text);
    });
  });
  socket.destroy();
  expect(heard).toMatch(/^HTTP\/1.1 101 /);
  expect(heard.toLowerCase()).toContain('x-url: /socket.io/?eio=4');
});

test('an upgrade elsewhere is refused', async () => {
  const socket = connect({ port: Number(new URL(base).port), host: '127.0.0.1' });
  socket.write('GET /internal/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const [answer] = await new Promise<string[]>((resolve) =>
    socket.once('data', (chunk: Buffer) => resolve([chunk.toString()])),
  );
  socket.destroy();
  expect(answer).toMatch(/^HTTP\/1.1 404 /);
});

test('until there is a client, a page says what to try', async () => {
  const response = await fetch(base);
  expect(response.status).toBe(200);
  const page = await response.text();
  for (const link of ['/docs/booking', '/docs/payment', '/docs/user', '/docs/errors'])
    expect(page).toContain(`href="${link}"`);
  expect(page).toContain(`${new URL(base).host}/api/concerts`);
  expect((await fetch(`${base}/concerts/7`)).status).toBe(404);
});

test('the client, once it is built: files, its own addresses, and nothing beside its folder', async () => {
  mkdirSync(join(folder, 'web/assets'), { recursive: true });
  writeFileSync(join(folder, 'web/index.html'), '<p>client</p>');
  writeFileSync(join(folder, 'web/assets/app-8f3k2j1x.js'), 'start()');
  writeFileSync(join(folder, 'secret.txt'), 'secret');

  const script = await fetch(`${base}/assets/app-8f3k2j1x.js`);
  expect([script.headers.get('content-type'), script.headers.get('cache-control')]).toEqual([
    'text/javascript; charset=utf-8',
    'public, max-age=31536000, immutable',
  ]);
  expect(await (await fetch(`${base}/concerts/7`)).text()).toBe('<p>client</p>');
  expect((await fetch(`${base}/assets/missing.js`)).status).toBe(404);
  expect(await rawGet('/../secret.txt')).toBe(404);
  expect(await rawGet('/%2e%2e/secret.txt')).toBe(404);
  const post = await fetch(base, { method: 'POST', body: 'x' });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});
