import { setTimeout as sleep } from 'node:timers/promises';
import { concertReply, layoutReply, seatmapReply } from '@frontrow/shared/contracts/concert.ts';
import { holdReply } from '@frontrow/shared/contracts/hold.ts';
import { paymentReply } from '@frontrow/shared/contracts/payment.ts';
import type { z } from 'zod';
import type { Addresses } from './stack/processes.ts';
import { mintTokens } from './tokens.ts';

export interface SaleOptions {
  addresses: Pick<Addresses, 'booking' | 'payment'>;
  /** Mints the tokens of the fans who buy. */
  privateKeyPem: string;
  concertId: number;
  /** Of all seats, 0..1; seats that are sold already count. */
  part: number;
  seatsPerFan: number;
  signal?: AbortSignal | undefined;
}

/** Far above the fans of a rush, so that nobody else has used up their seats. */
const firstFan = 900_000_000;
const atOnce = 8;
const payWithinMs = 60_000;
const pollMs = 100;
const busyTriesMax = 20;
const busyPauseMs = 250;
/** Like `holdBody` and the seed: nobody takes more in one hold. */
const seatsPerHoldMax = 4;

/**
 * Sells a part of a concert over the public API: fans hold neighbouring seats and pay for them. Seats stay free here and
 * there and not in one block. The same fan buys the same seats with the same keys, so a repetition sells nothing twice.
 * @throws Error when a hold is refused or a payment does not complete.
 */
export async function sellSeats(options: SaleOptions): Promise<void> {
  const purchases = (await groupsToSell(options)).map(({ number, seats }) => {
    const [token = ''] = mintTokens({ privateKeyPem: options.privateKeyPem, count: 1, from: firstFan + number });
    return { seats, token };
  });
  const worker = async () => {
    for (let next = purchases.shift(); next; next = purchases.shift()) {
      options.signal?.throwIfAborted();
      await buy(options, next.seats, next.token);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

interface Group {
  /** Counted through the whole layout: it makes the group's fan, whom no other group may use up. */
  number: number;
  /** Labels. */
  seats: string[];
}

/** The groups of neighbouring seats that have to be bought. */
async function groupsToSell({ addresses, concertId, part, seatsPerFan }: SaleOptions): Promise<Group[]> {
  const concert = await ask(concertReply, 'GET', `${addresses.booking}/api/concerts/${concertId}`);
  const layoutUrl = `${addresses.booking}/api/concerts/${concertId}/layout/${concert.layoutVersion}`;
  const layout = await ask(layoutReply, 'GET', layoutUrl);
  const { states } = await ask(seatmapReply, 'GET', `${addresses.booking}/api/concerts/${concertId}/seatmap`);
  const forSale = [...states].filter((state) => state !== '3').length;
  const sold = [...states].filter((state) => state === '2').length;

  const size = Math.min(seatsPerFan, seatsPerHoldMax);
  const rows = layout.sections.flatMap((section) => section.rows.map((row) => row.seats));
  const groups = rows.flatMap((seats) => chunksOf(seats, size)).map((seats, number) => ({ number, seats }));
  const free = groups.filter(({ seats }) => seats.every(({ index }) => states[index] === '0'));
  const seatsFree = free.flatMap(({ seats }) => seats).length;
  const wanted = spread(free, Math.min(1, Math.max(0, forSale * part - sold) / seatsFree));
  return wanted.map(({ number, seats }) => ({ number, seats: seats.map(({ label }) => label) }));
}

async function buy({ addresses, concertId }: SaleOptions, seats: string[], token: string): Promise<void> {
  const key = `seed-${seats[0]}`;
  const holdsUrl = `${addresses.booking}/api/concerts/${concertId}/holds`;
  const hold = await ask(holdReply, 'POST', holdsUrl, { token, key, body: { seats } });
  const body = { bookingId: hold.id, paymentMethod: 'pm_ok' };
  const payment = await ask(paymentReply, 'POST', `${addresses.payment}/api/payments`, { token, key, body });
  const deadline = Date.now() + payWithinMs;
  for (;;) {
    const now = await ask(paymentReply, 'GET', `${addresses.payment}/api/payments/${payment.id}`, { token });
    if (now.status === 'completed') return;
    if (now.status !== 'pending') throw new Error(`payment ${now.id} is ${now.status}`);
    if (Date.now() > deadline) throw new Error(`payment ${now.id} is pending after ${payWithinMs / 1000} s`);
    await sleep(pollMs);
  }
}

interface Ask {
  token?: string;
  key?: string;
  body?: unknown;
}

/** One call; a service that cannot answer yet is asked again, under the same key. */
async function ask<T extends z.ZodType>(
  reply: T,
  method: string,
  url: string,
  { token, key, body }: Ask = {},
): Promise<z.infer<T>> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  for (let tries = 1; ; tries++) {
    const response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return reply.parse(JSON.parse(text));
    // A concert that was made this moment is not yet known to every process.
    const busy = [404, 429, 503].includes(response.status);
    if (!busy || tries === busyTriesMax)
      throw new Error(`${method} ${url} answered ${response.status}: ${text.slice(0, 300)}`);
    await sleep(busyPauseMs);
  }
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** A part of the items, taken evenly from the whole list. */
export function spread<T>(items: readonly T[], part: number): T[] {
  return items.filter((_, index) => Math.floor((index + 1) * part) > Math.floor(index * part));
}
