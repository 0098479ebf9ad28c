import type { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import type { Identity } from './auth.ts';

/** What a handler gets: plain data, read and checked before it runs. Nothing of the transport. */
export interface Request<P = unknown, Q = unknown, H = unknown, B = unknown> {
  requestId: string;
  params: P;
  query: Q;
  headers: H;
  body: B;
  /** The fan, organiser or admin; null on open routes without a token. */
  identity: Identity | null;
  /** The body's bytes as they came, for signatures. */
  rawBody: Buffer;
}

export interface Reply {
  status: number;
  /** Sent as JSON; a string or bytes are sent as they are, with their `content-type` header. */
  body?: unknown;
  headers?: Record<string, string>;
}

interface ReplyDoc {
  description: string;
  schema?: z.ZodType;
  /** When it is not JSON. */
  contentType?: string;
  /** Other forms of the same, which the client may ask for with `Accept`. */
  otherContentTypes?: readonly string[];
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Parsed<T> = T extends z.ZodType ? z.infer<T> : undefined;

interface RouteShape<P, Q, H, B> {
  method: Method;
  /** uWebSockets.js pattern: `/api/concerts/:concertId`. */
  path: string;
  operationId: string;
  summary: string;
  /** `user`: an access token is needed; `optional`: read when given; `service`: a service token. */
  auth: 'none' | 'optional' | 'user' | 'service';
  params?: P;
  query?: Q;
  /** Keyed by lower-case header names; only these are read. */
  headers?: H;
  body?: B;
  /** `raw` leaves the bytes unparsed: a signature covers them. */
  bodyMode?: 'json' | 'raw';
  bodyBytesMax?: number;
  replies: Record<number, ReplyDoc>;
  errors: readonly ErrorCode[];
  handler: (request: Request<Parsed<P>, Parsed<Q>, Parsed<H>, Parsed<B>>) => Reply | Promise<Reply>;
}

/** A route whose handler takes any request: the server has checked it against the route's own schemas. */
export type Route = Omit<RouteShape<z.ZodType, z.ZodType, z.ZodType, z.ZodType>, 'handler'> & {
  handler: (request: Request) => Reply | Promise<Reply>;
};

/** Declares a route; the handler's request has the types of the schemas beside it. */
export function route<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  H extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(shape: RouteShape<P, Q, H, B>): Route {
  const { params, query, headers, body, handler, ...rest } = shape;
  return {
    ...rest,
    ...(params && { params }),
    ...(query && { query }),
    ...(headers && { headers }),
    ...(body && { body }),
    // The server calls it only with what these very schemas returned.
    handler: (request) => handler(request as Request<Parsed<P>, Parsed<Q>, Parsed<H>, Parsed<B>>),
  };
}

export const json = (status: number, body: unknown, headers?: Record<string, string>): Reply =>
  headers ? { status, body, headers } : { status, body };
export const noContent: Reply = { status: 204 };
