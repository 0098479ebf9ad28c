import { fileURLToPath } from 'node:url';
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T; strict: true }>>['values'];

/** True when this module is what was started, and not imported. */
export function isMain(moduleUrl: string): boolean {
  return process.argv[1] !== undefined && fileURLToPath(moduleUrl) === process.argv[1];
}

/** What a person did wrong or can act upon: said without a stack trace. */
export class UserError extends Error {}

/**
 * Parses the command line; `--help` prints the usage and ends the process.
 * @throws UserError for an unknown option.
 */
export function commandLine<const T extends Options>(usage: string, options: T): Values<T> {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options, strict: true }).values;
  } catch (error) {
    throw new UserError(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  }
}

/** A whole number from the command line. @throws UserError when it is none or out of range. */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new UserError(`--${name} takes a whole number from ${min} to ${max}, not "${text}".`);
}

/** Milliseconds of "90s", "15m", "2h" or "1d". @throws UserError when it reads otherwise. */
export function durationMs(name: string, text: string): number {
  const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const [, digits, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  if (factor === undefined) throw new UserError(`--${name} takes a time such as 90s, 15m or 2h, not "${text}".`);
  return Number(digits) * factor;
}

/** Runs a command to its end: a UserError is said plainly, anything else with its stack; both end with code 1. */
export async function runCommand(work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof UserError ? `\n${error.message}\n` : error);
    process.exitCode = 1;
  }
}
