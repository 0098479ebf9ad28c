import {
  OpenApiBuilder,
  type OperationObject,
  type ParameterObject,
  type ResponseObject,
  type SchemaObject,
} from 'openapi3-ts/oas31';
import { z } from 'zod';
import { problemSchema } from '../contracts/common.ts';
import { type ErrorCode, errors } from '../errors.ts';
import type { Route } from './route.ts';

/** OpenAPI 3.1 of a service, built from the very schemas that validate its requests. */
export function buildOpenApi(title: string, description: string, routes: readonly Route[]): OpenApiBuilder {
  const builder = OpenApiBuilder.create()
    .addInfo({ title, version: '1', description })
    .addSchema('Problem', schemaOf(problemSchema, 'output'))
    .addSecurityScheme('accessToken', { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' })
    .addSecurityScheme('serviceToken', {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'Calls between services',
    });
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    builder.addPath(path, { [route.method.toLowerCase()]: operationOf(route) });
  }
  return builder;
}

function operationOf(route: Route): OperationObject {
  const responses: Record<string, ResponseObject> = {};
  for (const [status, reply] of Object.entries(route.replies)) {
    const schema = reply.schema ? schemaOf(reply.schema, 'output') : undefined;
    const contentType = reply.contentType ?? 'application/json';
    const others = (reply.otherContentTypes ?? []).map((type) => [type, {}] as const);
    responses[status] = {
      description: reply.description,
      ...((schema || reply.contentType) && {
        content: { [contentType]: schema ? { schema } : {}, ...Object.fromEntries(others) },
      }),
    };
  }
  for (const [status, codes] of errorsByStatus(route)) {
    responses[status] = {
      description: codes.map((code) => `\`${code}\`: ${errors[code].title}`).join('; '),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.path.startsWith('/internal/') ? 'between services (not through the origin)' : 'public'],
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...parametersOf(route.headers, 'header'),
    ],
    ...(route.body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body, 'input') } } },
    }),
    ...(route.auth !== 'none' && {
      security: [
        route.auth === 'service' ? { serviceToken: [] } : { accessToken: [] },
        ...(route.auth === 'optional' ? [{}] : []),
      ],
    }),
    responses,
  };
}

/** The codes that a route names, and those that follow from its form. */
export function errorCodesOf(route: Route): ErrorCode[] {
  const codes = new Set<ErrorCode>(route.errors);
  if (route.auth !== 'none') codes.add('unauthenticated');
  if (route.auth === 'user' || route.auth === 'optional') codes.add('token_expired');
  if (route.params) codes.add('invalid_id');
  if (route.query || route.headers || route.body) codes.add('invalid_request');
  if (route.body)
    for (const code of ['malformed_json', 'payload_too_large', 'unsupported_media_type'] as const) codes.add(code);
  for (const code of ['method_not_allowed', 'internal', 'overloaded', 'unavailable'] as const) codes.add(code);
  return [...codes];
}

function errorsByStatus(route: Route): Map<string, ErrorCode[]> {
  const byStatus = new Map<string, ErrorCode[]>();
  for (const code of errorCodesOf(route)) {
    const status = String(errors[code].status);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query' | 'header'): ParameterObject[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, part]) => ({
    name,
    in: place,
    required: place === 'path' || !z.safeParse(part, undefined).success,
    schema: schemaOf(part, 'input'),
  }));
}

function schemaOf(schema: z.core.$ZodType, io: 'input' | 'output'): SchemaObject {
  const { $schema: _, ...body } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return body as SchemaObject;
}
