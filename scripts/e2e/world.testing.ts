import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { versionOf } from '@frontrow/shared/contracts/change.ts';
import { layoutReply, seatmapReply } from '@frontrow/shared/contracts/concert.ts';
import { paymentReply } from '@frontrow/shared/contracts/payment.ts';
import type { Role } from '@frontrow/shared/contracts/user.ts';
import type { venueSchema } from '@frontrow/shared/contracts/venue.ts';
import { signAccessToken, signServiceToken } from '@frontrow/shared/http/auth.ts';
import { newUserId } from '@frontrow/shared/ids.ts';
import { type ApiClient, type ApiReply, createApiClient } from '@frontrow/shared/testing/api-client.ts';
import mysql from 'mysql2/promise';
import type { OpenAPIObject } from 'openapi3-ts/oas31';
import { vi } from 'vitest';
import type { z } from 'zod';
import { publicJwk } from '../stack/secrets.ts';
import { type Stack, type StartOptions, startStack } from '../stack/stack.ts';

export type ServiceName = 'user' | 'booking' | 'payment' | 'sandbox';

export interface Fan {
  userId: string;
  token: string;
}

export interface TestConcert {
  id: number;
  /** Labels by seat index. */
  seats: readonly string[];
}

interface ConcertOptions {
  /** Seats of one straight row; 20 when not given. */
  seatCount?: number;
  opensAt?: Date;
  closesAt?: Date;
  saleOverride?: 'none' | 'paused' | 'closed';
  seatsPerUserMax?: number;
  holdTtlMs?: number;
}

interface HoldOptions {
  key?: string;
  /** A connection of its own, so that any of the processes that share the port may get it. */
  ownConnection?: boolean;
}

export type World = Awaited<ReturnType<typeof startWorld>>;

const priceMinor = 5_000_000;

/**
 * A whole system of one test file, and the hands to use it. Every reply that comes through `api` is held against the OpenAPI
 * document that the service itself gives out.
 */
export async function startWorld(options: StartOptions = {}) {
  const stack = await startStack({ ...options, env: { BCRYPT_COST: '4', ...options.env } });
  try {
    return await worldOf(stack);
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function worldOf(stack: Stack) {
  const { addresses, secrets, databases } = stack;
  const documents = {
    user: await documentOf(stack, 'user'),
    booking: await documentOf(stack, 'booking-1'),
    payment: await documentOf(stack, 'payment'),
    sandbox: await documentOf(stack, 'sandbox'),
  };
  const clientOf = (name: ServiceName): ApiClient => {
    const document = documents[name];
    return document ? createApiClient(addresses[name], document) : { call: () => notRunning(name) };
  };
  const api = {
    user: clientOf('user'),
    booking: clientOf('booking'),
    payment: clientOf('payment'),
    sandbox: clientOf('sandbox'),
  };
  const pem = readFileSync(secrets.jwtPrivateKeyFile, 'utf8');
  const [privateKey, { kid }] = [createPrivateKey(pem), publicJwk(pem)];
  const tokenOf = (userId: string, role: Role = 'fan', ttlSeconds = 3_600) =>
    signAccessToken(privateKey, kid, { userId, role }, ttlSeconds);
  const bookingProcesses = Object.keys(stack.processes).filter((name) => /^booking-\d+$/.test(name));

  /** Which process gave this answer. A request id starts with its maker's process id and eight digits of its start. */
  const answeredBy = ({ headers }: Pick<ApiReply, 'headers'>): string => {
    const pid = Number.parseInt(headers.get('x-request-id')?.split('-')[0]?.slice(0, -8) ?? '', 36);
    return Object.values(stack.processes).find((process) => process.pid === pid)?.name ?? `process ${pid}`;
  };

  /** Asks on new connections until every booking process has answered and each answer passed. */
  const askEvery = async (path: string, check: (reply: ApiReply) => void): Promise<void> => {
    const passed = new Set<string>();
    await until(async () => {
      const reply = await api.booking.call('GET', path, { headers: ownConnection });
      check(reply);
      passed.add(answeredBy(reply));
      if (passed.size < bookingProcesses.length) throw new Error(`only ${[...passed]} answered`);
    });
  };

  /** Runs one statement on the stack's database server as its administrator, and gives its rows. */
  const sql = async (
    statement: string,
    values: (string | number | Buffer)[] = [],
  ): Promise<Record<string, unknown>[]> => {
    const connection = await mysql.createConnection({ uri: databases.mysql.global.replace(/\/[^/]*$/, '') });
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(statement, values);
      return Array.isArray(rows) ? rows : [];
    } finally {
      await connection.end();
    }
  };

  const seatMap = async (concert: TestConcert): Promise<z.infer<typeof seatmapReply>> =>
    seatmapReply.parse((await api.booking.call('GET', `/api/concerts/${concert.id}/seatmap`)).body);

  /** Rows of a concert in a table of booking-service or payment-service, from every shard. */
  const rowsOf = async (service: 'booking' | 'payment', table: string, concert: TestConcert) => {
    const names = databases.mysql[service].map((url) => `${new URL(url).pathname.slice(1)}.${table}`);
    const found = await Promise.all(
      names.map((name) => sql(`SELECT * FROM ${name} WHERE concert_id = ?`, [concert.id])),
    );
    return found.flat();
  };

  let concertId = 100;
  return {
    stack,
    api,
    documents,
    bookingProcesses,
    tokenOf,
    answeredBy,
    askEvery,
    newFan: (role: Role = 'fan'): Fan => {
      const userId = newUserId();
      return { userId, token: tokenOf(userId, role) };
    },
    serviceToken: () => signServiceToken(secrets.values.serviceToken, 'e2e'),

    /** Makes a concert and waits until every booking process has its seat map. Free seats unless `opensAt` and such say else. */
    createConcert: async (wanted: ConcertOptions = {}): Promise<TestConcert> => {
      const { seatCount = 20, opensAt = new Date(Date.now() - 60_000), closesAt = inDays(30), ...sale } = wanted;
      concertId += 1;
      const id = concertId;
      const token = signServiceToken(secrets.values.serviceToken, 'e2e');
      const venue = oneRow(seatCount);
      await succeed(api.booking.call('PUT', `/internal/venues/${venue.id}`, { token, body: venue }));
      const body = {
        id,
        name: `Concert ${id}`,
        artist: 'The Testers',
        venueId: venue.id,
        startsAt: inDays(31).toISOString(),
        opensAt: opensAt.toISOString(),
        closesAt: closesAt.toISOString(),
        ...sale,
      };
      await succeed(api.booking.call('POST', '/internal/concerts', { token, body }));
      await askEvery(`/api/concerts/${id}/seatmap`, ({ status }) => {
        if (status !== 200) throw new Error(`the seat map of concert ${id} answers ${status}`);
      });
      const layout = layoutReply.parse((await api.booking.call('GET', `/api/concerts/${id}/layout/1`)).body);
      const seats = layout.sections.flatMap(({ rows }) => rows.flatMap((row) => row.seats.map(({ label }) => label)));
      return { id, seats };
    },

    hold: (concert: TestConcert, fan: Fan, seats: readonly string[], how: HoldOptions = {}): Promise<ApiReply> =>
      api.booking.call('POST', `/api/concerts/${concert.id}/holds`, {
        token: fan.token,
        body: { seats },
        headers: { ...(how.key && { 'idempotency-key': how.key }), ...(how.ownConnection && ownConnection) },
      }),

    seatMap,

    pay: (fan: Fan, bookingId: string, paymentMethod = 'pm_ok', key = randomBytes(9).toString('hex')) =>
      api.payment.call('POST', '/api/payments', {
        token: fan.token,
        body: { bookingId, paymentMethod },
        headers: { 'idempotency-key': key },
      }),

    /** Reads a payment until it has this status. */
    waitForPayment: (fan: Fan, paymentId: string, status: z.infer<typeof paymentReply>['status']) =>
      until(async () => {
        const reply = await api.payment.call('GET', `/api/payments/${paymentId}`, { token: fan.token });
        const payment = paymentReply.parse(reply.body);
        if (payment.status !== status) throw new Error(`the payment is ${payment.status}, not ${status}`);
        return payment;
      }),

    sql,

    /** Waits until the database has all that has happened to the concert so far. */
    untilStored: async (concert: TestConcert): Promise<void> => {
      const { version } = await seatMap(concert);
      await until(async () => {
        const [cursor] = await rowsOf('booking', 'log_cursor', concert);
        const stored = versionOf(Number(cursor?.last_epoch), Number(cursor?.last_n));
        if (stored < version) throw new Error(`the rows stand at ${stored}, the seat map at ${version}`);
      });
    },

    rowsOf,

    stop: () => stack.stop(),
  };
}

export const ownConnection = { connection: 'close' };

export const until = <T>(check: () => T | Promise<T>, timeout = 20_000): Promise<T> =>
  vi.waitFor(check, { timeout, interval: 20 });

/** The problem's code; undefined when the reply is none. */
export function codeOf({ body }: ApiReply): unknown {
  return typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;
}

/** @returns the reply's body, parsed. @throws when the status is another one. */
export async function bodyOf<T extends z.ZodType>(
  reply: ApiReply | Promise<ApiReply>,
  status: number,
  schema: T,
): Promise<z.infer<T>> {
  const given = await reply;
  if (given.status !== status) throw new Error(`${given.status} instead of ${status}: ${JSON.stringify(given.body)}`);
  return schema.parse(given.body);
}

async function succeed(reply: Promise<ApiReply>): Promise<void> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
}

async function documentOf(stack: Stack, process: string): Promise<OpenAPIObject | undefined> {
  if (stack.processes[process] === undefined) return undefined;
  const response = await fetch(`${stack.addresses.ops[process]}/openapi.json`);
  return (await response.json()) as OpenAPIObject;
}

const notRunning = (name: string): Promise<never> => Promise.reject(new Error(`${name} does not run in this test.`));
const inDays = (days: number): Date => new Date(Date.now() + days * 86_400_000);

const oneRow = (seats: number): z.input<typeof venueSchema> => ({
  id: `row-of-${seats}`,
  name: 'The Row',
  city: 'Bandung',
  layoutVersion: 1,
  currency: 'IDR',
  spacing: { seat: 0.5, row: 1 },
  priceCategories: [{ id: 'one', name: 'One price', priceMinor }],
  sections: [
    {
      id: 'A',
      name: 'Row',
      priceCategory: 'one',
      position: { x: 0, y: 5 },
      rows: [{ labels: '1', seats }],
    },
  ],
});
