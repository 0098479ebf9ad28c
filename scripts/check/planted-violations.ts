/** One violation of an import rule: the module at `at` breaks `rule`. */
interface PlantedViolation {
  rule: string;
  at: string;
  /** What has to exist for it, by path. */
  files: Readonly<Record<string, string>>;
}

const imports = (...paths: string[]) => paths.map((path) => `import '${path}';\n`).join('');
const importsType = (path: string) => `import type { Thing } from '${path}';\nexport const thing: Thing = 1;\n`;
const leaf = 'export type Thing = number;\nexport const leaf = 1;\n';
const booking = 'services/booking-service/src';

/** At least one for each rule of .dependency-cruiser.mjs: a tool that reads nothing would otherwise pass everything. */
export const plantedViolations: readonly PlantedViolation[] = [
  {
    rule: 'no-circles',
    at: `${booking}/hold/one.ts`,
    files: { [`${booking}/hold/one.ts`]: imports('./other.ts'), [`${booking}/hold/other.ts`]: imports('./one.ts') },
  },
  {
    rule: 'nothing-unresolved',
    at: `${booking}/hold/unresolved.ts`,
    files: { [`${booking}/hold/unresolved.ts`]: imports('./is-not-there.ts') },
  },
  {
    rule: 'shared-stands-alone',
    at: 'services/shared/src/knows-a-service.ts',
    files: {
      'services/shared/src/knows-a-service.ts': imports('../../booking-service/src/seatmap/seatmap.ts'),
      [`${booking}/seatmap/seatmap.ts`]: leaf,
    },
  },
  {
    rule: 'uws-behind-http',
    at: `${booking}/seatmap/seatmap.socket.ts`,
    files: {
      [`${booking}/seatmap/seatmap.socket.ts`]: imports('@btc-vision/uwebsockets.js'),
      'node_modules/@btc-vision/uwebsockets.js/package.json': '{"name":"@btc-vision/uwebsockets.js","main":"uws.js"}',
      'node_modules/@btc-vision/uwebsockets.js/uws.js': '',
      'package.json': '{"dependencies":{"@btc-vision/uwebsockets.js":"*"}}',
    },
  },
  {
    rule: 'services-do-not-import-one-another',
    at: 'services/payment-service/src/payment/payment.ts',
    files: {
      'services/payment-service/src/payment/payment.ts': imports('../../../booking-service/src/seatmap/seatmap.ts'),
    },
  },
  {
    rule: 'features-do-not-import-one-another',
    at: `${booking}/hold/hold.ts`,
    files: { [`${booking}/hold/hold.ts`]: imports('../seatmap/seatmap.ts') },
  },
  {
    // A type ties two features together as well.
    rule: 'features-do-not-import-one-another',
    at: `${booking}/hold/by-type.ts`,
    files: { [`${booking}/hold/by-type.ts`]: importsType('../seatmap/seatmap.ts') },
  },
  {
    rule: 'features-do-not-import-one-another',
    at: `${booking}/engine/knows-a-feature.ts`,
    files: { [`${booking}/engine/knows-a-feature.ts`]: imports('../seatmap/seatmap.ts') },
  },
  {
    rule: 'features-do-not-import-roots',
    at: `${booking}/hold/knows-main.ts`,
    files: { [`${booking}/hold/knows-main.ts`]: imports('../main.ts'), [`${booking}/main.ts`]: leaf },
  },
  {
    rule: 'domain-is-pure',
    at: `${booking}/hold/hold.store.ts`,
    files: { [`${booking}/hold/hold.store.ts`]: imports('./hold.routes.ts'), [`${booking}/hold/hold.routes.ts`]: leaf },
  },
  {
    rule: 'domain-without-io',
    at: `${booking}/booking/booking.ts`,
    files: {
      [`${booking}/booking/booking.ts`]: imports('ioredis'),
      'node_modules/ioredis/package.json': '{"name":"ioredis","main":"index.js"}',
      'node_modules/ioredis/index.js': '',
    },
  },
  {
    rule: 'tools-use-contracts',
    at: 'scripts/peek.ts',
    files: { 'scripts/peek.ts': imports('../services/booking-service/src/seatmap/seatmap.ts') },
  },
  {
    rule: 'audit-trusts-nobody',
    at: 'loadtest/audit/audit.ts',
    files: {
      'loadtest/audit/audit.ts': imports('../../services/shared/src/redis/client.ts'),
      'services/shared/src/redis/client.ts': leaf,
    },
  },
  {
    rule: 'tests-stay-outside',
    at: `${booking}/hold/ships-a-test.ts`,
    files: { [`${booking}/hold/ships-a-test.ts`]: imports('./hold.test.ts'), [`${booking}/hold/hold.test.ts`]: leaf },
  },
];
