import type { World } from './world.ts';

/** One thing that is not as it must be. `ids` are bookings, payments, charges, users: whatever leads to it. */
export interface Violation {
  message: string;
  seat?: string;
  ids: string[];
}

export interface CheckResult {
  /** How many things were compared: zero in a check that should have had work is seen at once. */
  examined: number;
  violations: Violation[];
}

export type Check = (world: World) => CheckResult;
