import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ErrorEntry, errors } from '@frontrow/shared/errors.ts';
import { commandLine, isMain, runCommand } from './cli.ts';
import { projectRoot } from './stack/files.ts';

const usage = `Usage: npm run generate [-- --check]

Writes the documents that are made from code: docs/openapi/<service>.json and docs/errors.md.

  --check       writes nothing; names the documents that are not up to date and exits 1
  --help        this text`;

/** The path of each generated document, relative to the project, with its text. */
export async function generatedDocuments(): Promise<Map<string, string>> {
  const documents = new Map<string, string>();
  for (const service of servicesWithDocument()) {
    documents.set(`docs/openapi/${service}.json`, `${JSON.stringify(await openApiOf(service), null, 2)}\n`);
  }
  documents.set('docs/errors.md', errorsPage());
  return documents;
}

/** Documents whose text is not what the code makes now, and those that nothing makes any more. */
export async function staleDocuments(documents: ReadonlyMap<string, string>): Promise<string[]> {
  const changed = [...documents].flatMap(([path, text]) => (readText(path) === text ? [] : [path]));
  const folder = join(projectRoot, 'docs/openapi');
  const present = existsSync(folder) ? readdirSync(folder).map((name) => `docs/openapi/${name}`) : [];
  return [...changed, ...present.filter((path) => !documents.has(path))];
}

function servicesWithDocument(): string[] {
  const services = readdirSync(join(projectRoot, 'services')).sort();
  return services.filter((service) => existsSync(join(projectRoot, 'services', service, 'src/api.ts')));
}

/** Each service's `api.ts` builds its document from the schemas that validate. */
async function openApiOf(service: string): Promise<unknown> {
  const module: unknown = await import(pathToFileURL(join(projectRoot, 'services', service, 'src/api.ts')).href);
  if (!hasFunction(module, 'apiDocument'))
    throw new Error(`services/${service}/src/api.ts does not export apiDocument()`);
  const document = module.apiDocument();
  if (!hasFunction(document, 'getSpec'))
    throw new Error(`apiDocument() of ${service} does not return an OpenApiBuilder`);
  return document.getSpec();
}

function hasFunction<Name extends string>(value: unknown, name: Name): value is Record<Name, () => unknown> {
  return typeof Object(value)[name] === 'function';
}

function errorsPage(): string {
  const entries: [string, ErrorEntry][] = Object.entries(errors);
  const rows = entries.map(
    ([code, { status, title, explain, retryable }]) =>
      `| \`${code}\` | ${status} | ${title} | ${explain} | ${retryable ? 'yes' : 'no'} |`,
  );
  return [
    '# Errors',
    '',
    'Generated from `services/shared/src/errors.ts` by `npm run generate`. Every error is `application/problem+json`',
    '(RFC 9457); `code` is stable; `retryable` says whether the same request may succeed later.',
    '',
    '| code | status | title | what to do | retryable |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function readText(path: string): string | undefined {
  const file = join(projectRoot, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

async function main(): Promise<void> {
  const { check } = commandLine(usage, { check: { type: 'boolean', default: false } });
  const documents = await generatedDocuments();
  const stale = await staleDocuments(documents);
  if (check) {
    if (stale.length === 0) return console.log(`${documents.size} generated documents are up to date.`);
    console.error(`Not up to date (npm run generate makes them anew):\n${stale.map((path) => `  ${path}`).join('\n')}`);
    process.exitCode = 1;
    return;
  }
  for (const path of stale) {
    const file = join(projectRoot, path);
    const text = documents.get(path);
    mkdirSync(dirname(file), { recursive: true });
    if (text === undefined) rmSync(file);
    else writeFileSync(file, text);
    console.log(`${text === undefined ? 'removed' : 'written'}: ${path}`);
  }
  console.log(`${documents.size} generated documents are up to date.`);
}

if (isMain(import.meta.url)) await runCommand(main);
