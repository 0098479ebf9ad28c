import type { OpenAPIObject } from 'openapi3-ts/oas31';
import type { Route } from '../http/route.ts';

/** @returns the routes that the document does not have under their path, method and name, and names that two routes share. */
export function undocumented(routes: readonly Route[], document: OpenAPIObject): string[] {
  const faults: string[] = [];
  const names = new Set<string>();
  for (const { method, path, operationId } of routes) {
    const item = document.paths?.[path.replaceAll(/:(\w+)/g, '{$1}')];
    const name = item?.[method.toLowerCase() as Lowercase<typeof method>]?.operationId;
    if (name !== operationId) faults.push(`${method} ${path} is not documented as ${operationId}`);
    if (names.has(operationId)) faults.push(`two routes are called ${operationId}`);
    names.add(operationId);
  }
  return faults;
}
