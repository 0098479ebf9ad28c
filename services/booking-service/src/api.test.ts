import { errorCodes } from '@frontrow/shared/errors.ts';
import { undocumented } from '@frontrow/shared/testing/documented.ts';
import { expect, test } from 'vitest';
import { apiDocument, describedRoutes } from './api.ts';

const document = apiDocument().getSpec();

test('the document has every route', () => {
  const routes = describedRoutes();
  expect(undocumented(routes, document)).toEqual([]);
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.keys(path));
  expect(operations).toHaveLength(routes.length);
});

test('every code that the document names is in the table of errors', () => {
  const named = [...JSON.stringify(document).matchAll(/`([a-z_]+)`: /g)].map((match) => match[1]);
  expect(named.length).toBeGreaterThan(100);
  expect(named.filter((code) => !errorCodes.some((known) => known === code))).toEqual([]);
});
