import type { Check, CheckResult } from './check.ts';
import { bookingsAgreeCheck, bookingTicketsCheck, fanLimitCheck, userBookingsCheck } from './checks-bookings.ts';
import { acceptedHoldsCheck, confirmationsCheck } from './checks-clients.ts';
import { cursorCheck, logOrderCheck, logOutcomeCheck, logStoryCheck } from './checks-log.ts';
import { chargesCheck, paymentsCheck, refundsCheck, soldIsPaidCheck } from './checks-money.ts';
import { oneOwnerCheck, seatCountsCheck, seatOwnersCheck, seatStatesCheck } from './checks-seats.ts';
import type { World } from './world.ts';

/** Every check by its name. Each is pure: a world in, violations out. */
export const checks: Readonly<Record<string, Check>> = {
  'seat-counts': seatCountsCheck,
  'seat-states': seatStatesCheck,
  'seat-owners': seatOwnersCheck,
  'one-owner': oneOwnerCheck,
  'bookings-agree': bookingsAgreeCheck,
  'booking-tickets': bookingTicketsCheck,
  'user-bookings': userBookingsCheck,
  'fan-limit': fanLimitCheck,
  'log-order': logOrderCheck,
  'log-story': logStoryCheck,
  'log-outcome': logOutcomeCheck,
  cursor: cursorCheck,
  charges: chargesCheck,
  refunds: refundsCheck,
  payments: paymentsCheck,
  'sold-is-paid': soldIsPaidCheck,
  'accepted-holds': acceptedHoldsCheck,
  confirmations: confirmationsCheck,
};

export type Findings = Record<string, CheckResult>;

export const runChecks = (world: World): Findings =>
  Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, check(world)]));

export const countViolations = (findings: Findings): number =>
  Object.values(findings).reduce((sum, { violations }) => sum + violations.length, 0);
