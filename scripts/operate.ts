import { signServiceToken } from '@frontrow/shared/http/auth.ts';
import { UserError } from './cli.ts';
import { loadSettings } from './stack/settings.ts';
import { stackStatus } from './stack/status.ts';

/** A running stack, as the operator's commands need it. */
export interface OperatedStack {
  bookingUrl: string;
  /** Concert ids by the seed's key. */
  concerts: Readonly<Record<string, number>>;
  /** For one internal call: it is short-lived. */
  serviceToken(): string;
}

/** @throws UserError when no stack runs with the data folder of the settings. */
export async function operatedStack(): Promise<OperatedStack> {
  const { dataDir } = loadSettings();
  const status = await stackStatus(dataDir);
  if (!status?.addresses)
    throw new UserError(`Nothing runs with the data folder ${dataDir}. Start it in another terminal: npm start`);
  const { addresses, secrets, concerts } = status;
  return {
    bookingUrl: addresses.booking,
    concerts,
    serviceToken: () => signServiceToken(secrets.serviceToken, 'operator'),
  };
}

/** The concerts that a command is about: one by its number or seed key, or all. @throws UserError when it names none. */
export function chosenConcerts(stack: OperatedStack, concert: string | undefined, all: boolean): number[] {
  if (all) return Object.values(stack.concerts);
  if (concert === undefined) throw new UserError('Say which concert: --concert N (or its seed key), or --all.');
  const id = /^[1-9]\d{0,9}$/.test(concert) ? Number(concert) : stack.concerts[concert];
  if (id === undefined)
    throw new UserError(`There is no concert "${concert}". Known: ${Object.keys(stack.concerts).join(', ')}.`);
  return [id];
}

/** Calls an internal route of booking-service. @throws UserError with what it answered. */
export async function askBooking(stack: OperatedStack, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const response = await fetch(`${stack.bookingUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${stack.serviceToken()}` },
    signal: AbortSignal.timeout(120_000),
  }).catch((error: unknown) => {
    throw new UserError(
      `booking-service does not answer at ${stack.bookingUrl}: ${error instanceof Error ? error.message : error}`,
    );
  });
  const text = await response.text();
  if (!response.ok) throw new UserError(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
