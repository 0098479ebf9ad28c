import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenAPIObject, OperationObject, PathItemObject, ResponseObject } from 'openapi3-ts/oas31';

interface CallOptions {
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, for bodies that are no JSON; `content-type` stays application/json. */
  rawBody?: string | Uint8Array;
  token?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface ApiReply {
  status: number;
  headers: Headers;
  /** Parsed when it is JSON; else the text. `unknown` is checked against the document, so a test may pick from it. */
  body: unknown;
  bytes: Buffer;
}

export interface ApiClient {
  call(method: string, path: string, options?: CallOptions): Promise<ApiReply>;
}

const methodNames = ['get', 'put', 'post', 'delete', 'patch'] as const;

/**
 * fetch that holds a server to its OpenAPI document: each reply must have a documented status, content type and shape.
 * @throws at once when a schema of the document is broken, and from `call` when a reply is not as documented.
 */
export function createApiClient(baseUrl: string, document: OpenAPIObject): ApiClient {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  // Through JSON, as a reader of the document gets it.
  ajv.addSchema(JSON.parse(JSON.stringify(document)), 'openapi');
  const operations = operationsOf(document, ajv);

  return {
    async call(method, path, options = {}) {
      const response = await fetch(`${baseUrl}${path}`, requestOf(method, options));
      const bytes = Buffer.from(await response.arrayBuffer());
      const text = bytes.toString();
      const contentType = response.headers.get('content-type')?.split(';')[0] ?? '';
      const body: unknown = /[/+]json$/.test(contentType) && text !== '' ? JSON.parse(text) : text;
      const what = `${method} ${path} answered ${response.status}`;

      const here = operations.filter(({ pattern }) => pattern.test(path.split('?')[0] ?? ''));
      const operation = here.find((one) => one.method === (method === 'HEAD' ? 'get' : method.toLowerCase()));
      if (here.length === 0) throw new Error(`${what}: the document has no such path.`);
      // A method that a path does not have has no operation to look at; its 405 stands with the others of the path.
      const documented = (operation ?? (response.status === 405 ? here[0] : undefined))?.replies.get(response.status);
      if (documented === undefined) throw new Error(`${what}, which is not documented: ${text.slice(0, 500)}`);
      if (method !== 'HEAD') checkReply(what, documented, contentType, body, text);
      return { status: response.status, headers: response.headers, body, bytes };
    },
  };
}

interface DocumentedReply {
  description: string;
  /** Content type -> its schema's check; null when any content of that type will do. */
  content: Map<string, ValidateFunction | null>;
}
interface Operation {
  method: string;
  pattern: RegExp;
  replies: Map<number, DocumentedReply>;
}

function operationsOf(document: OpenAPIObject, ajv: Ajv2020): Operation[] {
  const operations: Operation[] = [];
  for (const [path, item] of Object.entries<PathItemObject>(document.paths ?? {})) {
    for (const method of methodNames) {
      const operation = item[method];
      if (operation === undefined) continue;
      const pattern = new RegExp(`^${path.replaceAll(/[.]/g, '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
      operations.push({ method, pattern, replies: repliesOf(operation, ['paths', path, method], ajv) });
    }
  }
  // A path without parameters goes before one that would also match it.
  return operations.sort((a, b) => Number(a.pattern.source.includes('[^')) - Number(b.pattern.source.includes('[^')));
}

function repliesOf(operation: OperationObject, at: string[], ajv: Ajv2020): Map<number, DocumentedReply> {
  const replies = new Map<number, DocumentedReply>();
  for (const [status, reply] of Object.entries<ResponseObject>(operation.responses ?? {})) {
    const content: DocumentedReply['content'] = new Map();
    for (const [type, media] of Object.entries(reply.content ?? {})) {
      const pointer = [...at, 'responses', status, 'content', type, 'schema'].map(escapePointer).join('/');
      content.set(type, media.schema === undefined ? null : ajv.compile({ $ref: `openapi#/${pointer}` }));
    }
    replies.set(Number(status), { description: reply.description ?? '', content });
  }
  return replies;
}

function checkReply(what: string, reply: DocumentedReply, contentType: string, body: unknown, text: string): void {
  if (reply.content.size === 0) {
    if (text !== '') throw new Error(`${what} with a body; the document has none: ${text.slice(0, 500)}`);
    return;
  }
  const validate = reply.content.get(contentType);
  if (validate === undefined) {
    throw new Error(`${what} as "${contentType}"; documented: ${[...reply.content.keys()].join(', ')}.`);
  }
  if (validate === null || validate(body)) {
    if (contentType === 'application/problem+json') checkCode(what, reply, body);
    return;
  }
  const faults = validate.errors?.map((fault) => `  ${fault.instancePath || '(body)'} ${fault.message}`) ?? [];
  throw new Error(`${what} with a body unlike the document:\n${faults.join('\n')}\n${text.slice(0, 500)}`);
}

/** A problem's code is one of those that stand in the description of its status (openapi.ts writes them there). */
function checkCode(what: string, reply: DocumentedReply, body: unknown): void {
  const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;
  if (typeof code !== 'string' || reply.description.includes(`\`${code}\``)) return;
  throw new Error(`${what} with the code ${code}; documented: ${reply.description}`);
}

function requestOf(method: string, options: CallOptions): RequestInit {
  const body = options.rawBody ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    ...(body !== undefined && { body }),
    ...(options.signal && { signal: options.signal }),
  };
}

/** A step of a JSON pointer inside a URI fragment (RFC 6901, sections 3 and 6). */
const escapePointer = (step: string): string => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'));
