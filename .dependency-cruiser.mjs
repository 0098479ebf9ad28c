/**
 * Who may import whom. ARCHITECTURE.md draws it; here it is enforced (npm run check).
 * TypeScript 7 has no API that dependency-cruiser knows, so sources are read with swc.
 */

/** The composition roots of a service: they put the features together. */
const roots = '^services/[^/]+/src/[^/]+[.]ts$';
/**
 * What the features of a service stand on: the seats' scripts and log of booking-service, the two ports of payment-service
 * (the provider's and booking-service's). They import no feature themselves.
 */
const foundations = ['^services/booking-service/src/engine/', '^services/payment-service/src/(provider|booking)/'];
/** Tests build what they need from anywhere in their own service. */
const tests = '([.]test|[.]testing|/testing)[.]ts$|/testing/';
/** generate.ts asks each service for its document; benches measure a piece from inside, beside its control. */
const toolsThatSeeServices = ['^scripts/generate[.]ts$', '^scripts/bench/'];

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two modules that need each other are one module, or hide a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'nothing-unresolved',
      comment: 'An import that does not resolve would be checked by no other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'shared-stands-alone',
      comment: 'services/shared imports nothing else of the project.',
      severity: 'error',
      from: { path: '^services/shared/' },
      to: { path: '^(services|scripts|loadtest|web)/', pathNot: '^services/shared/' },
    },
    {
      name: 'uws-behind-http',
      comment: 'Only services/shared/src/http knows uWebSockets.js, and only it touches a response.',
      severity: 'error',
      from: { pathNot: '^services/shared/src/http/' },
      to: { path: 'node_modules/(@trufflesuite/uws-js-unofficial|@btc-vision/uwebsockets[.]js|uWebSockets[.]js)' },
    },
    {
      name: 'services-do-not-import-one-another',
      comment: 'Services speak over HTTP; what both sides know stands in services/shared/src/contracts.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/($1|shared)/' },
    },
    {
      name: 'features-do-not-import-one-another',
      comment: 'Inside a service the composition root (main.ts, worker.ts, api.ts) brings features together.',
      severity: 'error',
      from: { path: '^services/([^/]+)/src/([^/]+)/', pathNot: ['^services/shared/', tests] },
      to: { path: '^services/$1/src/[^/]+/', pathNot: ['^services/$1/src/$2/', ...foundations] },
    },
    {
      name: 'features-do-not-import-roots',
      comment: 'A root composes features; a feature that imports a root (other than its settings) turns that around.',
      severity: 'error',
      from: { path: '^services/[^/]+/src/[^/]+/', pathNot: ['^services/shared/', tests] },
      to: { path: roots, pathNot: ['^services/shared/', '/env[.]ts$'] },
    },
    {
      name: 'domain-is-pure',
      comment: 'Domain, stores and repositories know neither HTTP nor sockets nor jobs: those know them.',
      severity: 'error',
      from: {
        path: '^services/[^/]+/src/[^/]+/[^/]+[.]ts$',
        pathNot: ['^services/shared/', '[.](routes|socket|job)[.]ts$', tests],
      },
      to: { path: '[.](routes|socket|job)[.]ts$' },
    },
    {
      name: 'domain-without-io',
      comment:
        'A file named by its concept alone (hold.ts) is pure: stores and repositories import it, not it them. ' +
        'Foundations and persist/ are about input and output as a whole.',
      severity: 'error',
      from: {
        path: '^services/[^/]+/src/[^/]+/[a-z0-9-]+[.]ts$',
        pathNot: ['^services/shared/', '^services/booking-service/src/persist/', ...foundations, tests],
      },
      to: { path: '^node_modules/(ioredis|mysql2|bullmq)/' },
    },
    {
      name: 'tools-use-contracts',
      comment: 'The client, the tools and the load tests see services from outside.',
      severity: 'error',
      from: { path: '^(web|scripts|loadtest)/', pathNot: [...toolsThatSeeServices, tests] },
      to: { path: '^services/', pathNot: '^services/shared/' },
    },
    {
      name: 'audit-trusts-nobody',
      comment:
        'The auditor shares the shapes of messages and ids with the services, and no code that could be wrong in both.',
      severity: 'error',
      from: { path: '^loadtest/audit', pathNot: tests },
      to: {
        path: '^(services|scripts)/',
        pathNot: '^services/shared/src/(contracts/|ids[.]ts$)|^scripts/cli[.]ts$',
      },
    },
    {
      name: 'tests-stay-outside',
      comment: 'What ships does not import what tests it.',
      severity: 'error',
      from: { pathNot: [tests, 'vitest[.]config[.]ts$', '^scripts/bench/'] },
      to: { path: `${tests}|^node_modules/(vitest|fast-check)/`, pathNot: '^node_modules/vitest/dist/node[.]js$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    parser: 'swc',
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
