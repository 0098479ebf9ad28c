import { demoAccounts } from '../seed.ts';
import type { Stack } from './stack.ts';

/** What a person reads when everything runs: where, who, and what to try. */
export function greeting({
  addresses,
  settings,
  concerts,
}: Pick<Stack, 'addresses' | 'settings' | 'concerts'>): string {
  const { origin, user, booking, payment, sandbox } = addresses;
  const seeded = Object.keys(concerts).length > 0;
  const accounts = demoAccounts().map(
    ({ email, password, role }) => `    ${email.padEnd(28)} ${password.padEnd(24)} ${role}`,
  );
  return [
    '',
    `  Frontrow is ready:  ${origin}`,
    '',
    '  API documents',
    `    ${origin}/docs/booking   ${origin}/docs/payment   ${origin}/docs/user   ${origin}/docs/errors`,
    '  Services, for load tests and tools',
    `    user ${user}   booking ${booking}   payment ${payment}   sandbox provider ${sandbox}`,
    ...(seeded ? ['  Demo accounts (email, password, role)', ...accounts] : []),
    '  Try, in another terminal',
    '    npm run status               what runs, its health and its ports',
    ...(settings.nodeEnv === 'production'
      ? []
      : ['    npm run rush                 5,000 fans after 1,200 seats, then the audit']),
    `    curl ${origin}/api/concerts`,
    '',
    `  Logs are in ${settings.dataDir}/logs. Ctrl-C ends everything.`,
    '',
  ].join('\n');
}
