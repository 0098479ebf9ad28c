import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { OpenApiBuilder } from 'openapi3-ts/oas31';
import { z } from 'zod';
import { errors } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from './metrics.ts';
import { problem } from './problem.ts';
import { json, type Reply, type Route, route } from './route.ts';
import { HttpServer } from './server.ts';

interface OpsOptions {
  log: Logger;
  metrics: Metrics;
  /** Absent for workers, which have no API. */
  openApi?: OpenApiBuilder;
  /** Name -> does it answer? Rejecting counts as no. */
  dependencies: Record<string, () => Promise<unknown>>;
  routes?: readonly Route[];
  serviceTokenSecret: string;
}

/** The process's own port: health, metrics and documents. Never reachable through the origin, but for /docs. */
export function createOpsServer(options: OpsOptions): HttpServer {
  return new HttpServer({
    log: options.log,
    metrics: options.metrics,
    serviceTokenSecret: options.serviceTokenSecret,
    routes: [
      ...healthRoutes(options.dependencies),
      metricsRoute(options.metrics),
      ...docsRoutes(options.openApi),
      ...(options.routes ?? []),
    ],
  });
}

function healthRoutes(dependencies: OpsOptions['dependencies']): Route[] {
  return [
    route({
      method: 'GET',
      path: '/health/live',
      operationId: 'live',
      summary: 'Is the process running?',
      auth: 'none',
      replies: { 200: { description: 'yes' } },
      errors: [],
      handler: () => json(200, { status: 'live' }),
    }),
    route({
      method: 'GET',
      path: '/health/ready',
      operationId: 'ready',
      summary: 'Can it serve? Names the dependency that is missing.',
      auth: 'none',
      replies: { 200: { description: 'yes' }, 503: { description: 'no: `missing` names what does not answer' } },
      errors: [],
      handler: async () => {
        const names = Object.keys(dependencies);
        const answers = await Promise.all(names.map((name) => answersInTime(dependencies[name])));
        const missing = names.filter((_, index) => !answers[index]);
        return json(missing.length === 0 ? 200 : 503, {
          status: missing.length === 0 ? 'ready' : 'not_ready',
          missing,
        });
      },
    }),
  ];
}

async function answersInTime(check: (() => Promise<unknown>) | undefined): Promise<boolean> {
  if (check === undefined) return false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), 1_000);
  });
  const answer = Promise.resolve()
    .then(check)
    .then(
      (result) => result !== false,
      () => false,
    );
  const verdict = await Promise.race([answer, late]);
  clearTimeout(timer);
  return verdict;
}

function metricsRoute(metrics: Metrics): Route {
  return route({
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    summary: 'Prometheus metrics',
    auth: 'none',
    replies: { 200: { description: 'text format', contentType: 'text/plain' } },
    errors: [],
    handler: async () => ({
      status: 200,
      body: await metrics.registry.metrics(),
      headers: { 'content-type': metrics.registry.contentType },
    }),
  });
}

const swaggerFiles: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

function docsRoutes(openApi: OpenApiBuilder | undefined): Route[] {
  const html = (body: string): Reply => ({
    status: 200,
    body,
    headers: { 'content-type': 'text/html; charset=utf-8' },
  });
  const document = openApi?.getSpecAsJson();
  const page = { auth: 'none', replies: { 200: { description: 'the document', contentType: 'text/html' } } } as const;
  const spec = (path: string, operationId: string) =>
    route({
      method: 'GET',
      path,
      operationId,
      summary: 'OpenAPI 3.1',
      auth: 'none',
      replies: { 200: { description: 'the document' } },
      errors: ['not_found'],
      handler: () =>
        document === undefined
          ? problem('not_found', { detail: 'This process is a worker: it has no API.' })
          : { status: 200, body: document, headers: { 'content-type': 'application/json' } },
    });
  return [
    spec('/openapi.json', 'openApi'),
    spec('/docs/openapi.json', 'openApiBesideDocs'),
    route({
      method: 'GET',
      path: '/docs',
      operationId: 'docs',
      summary: 'Swagger UI',
      ...page,
      errors: [],
      handler: () => html(docsPage),
    }),
    route({
      method: 'GET',
      path: '/docs/errors',
      operationId: 'docsErrors',
      summary: 'Every error code',
      ...page,
      errors: [],
      handler: () => html(errorsPage()),
    }),
    route({
      method: 'GET',
      path: '/docs/:file',
      operationId: 'docsFile',
      summary: 'Files of Swagger UI',
      ...page,
      params: z.strictObject({ file: z.string() }),
      errors: ['not_found'],
      handler: ({ params }) => {
        const type = swaggerFiles[params.file];
        if (type === undefined) return problem('not_found');
        return {
          status: 200,
          body: swaggerFile(params.file),
          headers: { 'content-type': type, 'cache-control': 'public, max-age=86400' },
        };
      },
    }),
  ];
}

const swaggerCache = new Map<string, Buffer>();

function swaggerFile(name: string): Buffer {
  let file = swaggerCache.get(name);
  if (file === undefined) {
    const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
    file = readFileSync(join(folder, name));
    swaggerCache.set(name, file);
  }
  return file;
}

// The page may stand at /docs here and at /docs/<service> behind the origin, so it finds its files from its own address.
const docsPage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frontrow API</title></head><body><div id="docs"></div><noscript>The machine-readable document is at openapi.json beside this page.</noscript><script>
const base = location.pathname.replace(/\\/?$/, '/');
const css = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: base + 'swagger-ui.css' });
const script = Object.assign(document.createElement('script'), { src: base + 'swagger-ui-bundle.js' });
script.onload = () => SwaggerUIBundle({ url: base + 'openapi.json', dom_id: '#docs', deepLinking: true });
document.head.append(css, script);
</script></body></html>`;

function errorsPage(): string {
  const rows = Object.entries(errors).map(
    ([code, entry]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${entry.status}</td><td>${entry.title}</td><td>${entry.explain.replaceAll(/`([^`]+)`/g, '<code>$1</code>')}</td><td>${entry.retryable ? 'yes' : 'no'}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Frontrow: errors</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1f;background:#fff}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem .75rem;border-bottom:1px solid #d8d8e0}tr:target{background:#fff3c4}code{font-size:.95em}</style></head>
<body><h1>Errors</h1><p>Every error is <code>application/problem+json</code> (RFC 9457). <code>code</code> is stable; <code>retryable</code> says whether the same request may succeed later.</p>
<div class="scroll"><table><thead><tr><th>code</th><th>status</th><th>title</th><th>what to do</th><th>retryable</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div></body></html>`;
}
