/** Where the services are, seen from the origin. */
export interface OriginTargets {
  user: string;
  booking: string;
  payment: string;
  /** The ports with the documents. */
  userOps: string;
  bookingOps: string;
  paymentOps: string;
}

export type OriginRoute =
  /** `path` replaces the request's own, when it has another one there. */
  { kind: 'service'; target: string; path?: string } | { kind: 'hidden' } | { kind: 'health' } | { kind: 'web' };

/** A path belongs to the first row that it equals, or below which it lies. */
const services: readonly (readonly [prefix: string, target: keyof OriginTargets])[] = [
  ['/api/users', 'user'],
  ['/api/sessions', 'user'],
  ['/api/captcha', 'user'],
  ['/.well-known/jwks.json', 'user'],
  ['/api/concerts', 'booking'],
  ['/api/holds', 'booking'],
  ['/api/bookings', 'booking'],
  ['/api/tickets', 'booking'],
  ['/socket.io', 'booking'],
  ['/api/payments', 'payment'],
  ['/api/webhooks', 'payment'],
  ['/docs/errors', 'bookingOps'],
];

/** `/docs/user/openapi.json` is `/docs/openapi.json` of that service. */
const documents: Readonly<Record<string, keyof OriginTargets>> = {
  user: 'userOps',
  booking: 'bookingOps',
  payment: 'paymentOps',
};

/** Never reachable from outside, nor is anything that an upstream could read as one of them. */
const hidden = ['/internal', '/metrics', '/v1', '/health', '/openapi.json', '/api', '/docs'];
const evasive = /(^|[/\\])\.{1,2}([/\\]|$)|\/\/|\\|%2e|%2f|%5c|%00/i;

/** @param path without the query; @returns who answers it. */
export function routeOf(path: string, targets: OriginTargets): OriginRoute {
  if (evasive.test(path)) return { kind: 'hidden' };
  if (path === '/health/ready' || path === '/health/live') return { kind: 'health' };
  const service = services.find(([prefix]) => isBelow(path, prefix));
  if (service) return { kind: 'service', target: targets[service[1]] };
  const [, name = '', rest = ''] = /^\/docs\/([a-z]+)(\/.*)?$/.exec(path) ?? [];
  const document = Object.hasOwn(documents, name) ? documents[name] : undefined;
  if (document) return { kind: 'service', target: targets[document], path: `/docs${rest === '/' ? '' : rest}` };
  if (hidden.some((prefix) => isBelow(path, prefix))) return { kind: 'hidden' };
  return { kind: 'web' };
}

function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}
