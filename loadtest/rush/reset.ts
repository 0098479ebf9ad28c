import { request } from 'node:http';
import { concertReply, seatmapReply } from '@frontrow/shared/contracts/concert.ts';
import { resetConcertReply } from '@frontrow/shared/contracts/internal.ts';
import { clearLedgerReply } from '@frontrow/shared/contracts/provider.ts';
import { createInternalClient } from '@frontrow/shared/internal-client.ts';
import { z } from 'zod';
import { type Witnesses, waitForQuiet } from '../audit/load.ts';
import type { Target } from '../target.ts';

const callTimeoutMs = 60_000;
const settleMs = 20_000;
const seenByAllMs = 20_000;
const dayMs = 24 * 3_600_000;

/**
 * Makes a concert as new, each part through its owner: the payments, the provider's ledger, then the bookings and the seats.
 * Payments first and at rest, so that none of them settles into the new sale. The sale is open when this returns, on every
 * booking process.
 */
export async function resetConcert(
  target: Target,
  witnesses: Witnesses,
  concertId: number,
  holdTtlMs: number,
): Promise<void> {
  await waitForQuiet(witnesses, concertId, { waitMs: settleMs });
  const { addresses, serviceToken } = target;
  const ask = (url: string) => createInternalClient(url, serviceToken, 'rush', callTimeoutMs);
  await ask(addresses.payment)('POST', `/internal/concerts/${concertId}/reset`, {}, z.unknown());
  await clearLedger(target, concertId);
  const window = {
    opensAt: new Date(Date.now() - 60_000).toISOString(),
    closesAt: new Date(Date.now() + dayMs).toISOString(),
  };
  const path = `/internal/concerts/${concertId}/reset`;
  const { epoch } = await ask(addresses.booking)('POST', path, { holdTtlMs, ...window }, resetConcertReply);
  await waitUntilOpen(addresses.booking, concertId, epoch);
}

async function clearLedger({ sources }: Target, concertId: number): Promise<void> {
  const response = await fetch(`${sources.sandboxUrl}/v1/ledger?concertId=${concertId}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${sources.sandboxApiKey}` },
    signal: AbortSignal.timeout(callTimeoutMs),
  });
  if (!response.ok)
    throw new Error(`the provider did not clear its ledger: ${response.status} ${await response.text()}`);
  clearLedgerReply.parse(await response.json());
}

/** Processes share the port, and a new connection reaches any of them: so many in a row miss one by luck only. */
const readsInARow = 16;

async function waitUntilOpen(bookingUrl: string, concertId: number, epoch: number): Promise<void> {
  const deadline = Date.now() + seenByAllMs;
  for (let ready = 0; ready < readsInARow; ) {
    const map = seatmapReply.safeParse(await readAnew(`${bookingUrl}/api/concerts/${concertId}/seatmap`));
    const concert = concertReply.safeParse(await readAnew(`${bookingUrl}/api/concerts/${concertId}`));
    const isNew = map.success && Math.floor(map.data.version / 2 ** 32) >= epoch && !/[12]/.test(map.data.states);
    if (isNew && concert.success && concert.data.saleState === 'open') {
      ready += 1;
      continue;
    }
    ready = 0;
    if (Date.now() > deadline)
      throw new Error(`concert ${concertId} was reset, but not every booking process shows it open`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** GET over a connection of its own. */
function readAnew(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false, timeout: callTimeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
    });
    asked.once('timeout', () => asked.destroy(new Error(`${url} did not answer`)));
    asked.once('error', reject);
    asked.end();
  });
}
