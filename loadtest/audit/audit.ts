import type { ClientEvent } from '../client-event.ts';
import { countViolations, type Findings, runChecks } from './checks.ts';
import { loadWorld, type Witnesses, waitForQuiet } from './load.ts';
import type { World } from './world.ts';

export interface AuditReport {
  concertId: number;
  passed: boolean;
  /** Why the concert was still moving when it was read; a moving concert is never passed. */
  notQuiet: string[];
  seats: { total: number; sold: number; held: number; free: number; blocked: number };
  bookings: number;
  confirmed: number;
  findings: Findings;
}

interface AuditOptions {
  /** How long to wait for what is under way. */
  waitMs: number;
  clients?: ClientEvent[] | undefined;
  onWait?: (reasons: string[]) => void;
}

/** Waits for quiet, reads every witness and compares them. */
export async function auditConcert(
  witnesses: Witnesses,
  concertId: number,
  { waitMs, clients, onWait }: AuditOptions,
): Promise<AuditReport> {
  const notQuiet = await waitForQuiet(witnesses, concertId, { waitMs, ...(onWait && { onWait }) });
  const { world, isStill } = await loadWorld(witnesses, concertId, clients);
  if (!isStill) notQuiet.push('seats changed while they were read');
  return reportOf(world, notQuiet);
}

function reportOf(world: World, notQuiet: string[] = []): AuditReport {
  const findings = runChecks(world);
  const { tickets, bookings } = world.mysql;
  const count = (status: string) => tickets.filter((ticket) => ticket.status === status).length;
  return {
    concertId: world.concertId,
    passed: notQuiet.length === 0 && countViolations(findings) === 0,
    notQuiet,
    seats: {
      total: tickets.length,
      sold: count('sold'),
      held: count('booked'),
      free: count('available'),
      blocked: count('blocked'),
    },
    bookings: bookings.length,
    confirmed: bookings.filter(({ status }) => status === 'confirmed').length,
    findings,
  };
}

const violationsShownMax = 25;

/** The report as a person reads it: a line a check, then what is wrong. */
export function describeReport(report: AuditReport): string {
  const { concertId, seats, notQuiet, findings, passed } = report;
  const lines = [
    `Audit of concert ${concertId}: ${seats.total} seats = ${seats.sold} sold + ${seats.held} held + ${seats.free} free + ${seats.blocked} blocked; ` +
      `${report.bookings} bookings, ${report.confirmed} confirmed`,
  ];
  const width = Math.max(...Object.keys(findings).map((name) => name.length));
  for (const [name, { examined, violations }] of Object.entries(findings)) {
    const verdict = violations.length === 0 ? 'ok' : `${violations.length} VIOLATIONS`;
    lines.push(`  ${name.padEnd(width)}  ${String(examined).padStart(7)} looked at  ${verdict}`);
  }
  for (const reason of notQuiet) lines.push(`  not quiet: ${reason}`);
  for (const [name, { violations }] of Object.entries(findings)) {
    for (const { message } of violations.slice(0, violationsShownMax)) lines.push(`  ${name}: ${message}`);
    const more = violations.length - violationsShownMax;
    if (more > 0) lines.push(`  ${name}: and ${more} more (--json has them all)`);
  }
  lines.push(passed ? '  The audit passes.' : '  The audit FAILS.');
  return lines.join('\n');
}
