import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Charge } from '@frontrow/shared/contracts/provider.ts';
import { paymentIdOf, randomHoldId } from '@frontrow/shared/ids.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LedgerFile } from './ledger.file.ts';
import { Ledger } from './ledger.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-test-ledger-'));
  path = join(folder, 'deep', 'ledger.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function charge(changes: Partial<Charge> = {}): Charge {
  count += 1;
  const bookingId = randomHoldId(7);
  return {
    id: `ch_${count.toString(16).padStart(24, '0')}`,
    key: `key:${count}`,
    status: 'succeeded',
    amountMinor: 100,
    currency: 'IDR',
    paymentMethod: 'pm_ok',
    metadata: { concertId: 7, bookingId, paymentId: paymentIdOf('secret', bookingId) },
    createdAt: new Date().toISOString(),
    ...changes,
  };
}
const refundOf = ({ id }: Charge, amountMinor: number) => ({
  id: `re_${'0'.repeat(24)}`,
  key: `refund:${id}`,
  chargeId: id,
  status: 'succeeded' as const,
  amountMinor,
  currency: 'IDR',
  createdAt: new Date().toISOString(),
});

describe('the ledger', () => {
  test('is the same after it was opened again', async () => {
    const first = await Ledger.open(path);
    const [paid, waiting, declined, voided] = [charge(), charge({ status: 'pending' }), charge(), charge()];
    await first.append({ kind: 'charge', charge: paid, dueAtMs: null });
    await first.append({ kind: 'charge', charge: waiting, dueAtMs: 5 });
    await first.append({ kind: 'charge', charge: { ...declined, status: 'pending' }, dueAtMs: 6 });
    await first.append({ kind: 'charge', charge: { ...voided, status: 'pending' }, dueAtMs: 7 });
    const failure = { code: 'insufficient_funds', detail: 'no' };
    await first.append({ kind: 'decided', key: declined.key, status: 'declined', failure });
    await first.append({ kind: 'decided', key: voided.key, status: 'voided' });
    await first.append({ kind: 'refund', refund: refundOf(paid, 30) });
    const before = first.page(7, 0, 10);
    await first.close();

    const again = await Ledger.open(path);
    expect(again.page(7, 0, 10)).toEqual(before);
    expect(before.items.map(({ status }) => status)).toEqual(['succeeded', 'pending', 'declined', 'voided']);
    expect(before.items[2]?.failure).toEqual(failure);
    expect(again.pending()).toEqual([{ charge: waiting, dueAtMs: 5 }]);
    expect(again.chargeById(paid.id)?.leftMinor).toBe(70);
    expect(again.refund(`refund:${paid.id}`)?.amountMinor).toBe(30);
    await again.close();
  });

  test('drops a line that a crash tore, and goes on behind it', async () => {
    const first = await Ledger.open(path);
    const [kept, torn, later] = [charge(), charge(), charge()];
    await first.append({ kind: 'charge', charge: kept, dueAtMs: null });
    const whole = readFileSync(path).length;
    await first.append({ kind: 'charge', charge: torn, dueAtMs: null });
    await first.close();
    truncateSync(path, whole + 40);

    const second = await Ledger.open(path);
    expect(second.charge(kept.key)).toEqual(kept);
    expect(second.charge(torn.key)).toBeUndefined();
    await second.append({ kind: 'charge', charge: later, dueAtMs: null });
    await second.close();
    const third = await Ledger.open(path);
    expect(third.page(undefined, 0, 10).items.map(({ key }) => key)).toEqual([kept.key, later.key]);
    await third.close();
  });

  test.each([
    ['no JSON', '{"kind":\n'],
    ['an unknown kind', '{"kind":"gift"}\n'],
    ['a decision about nothing', '{"kind":"decided","key":"k","status":"voided"}\n'],
  ])('does not open over a damaged whole line: %s', async (_, line) => {
    await (await Ledger.open(path)).close();
    appendFileSync(path, line);
    await expect(Ledger.open(path)).rejects.toThrow(/line 1 of .* is no entry/);
  });

  test('takes no second decision, no second charge of a key, no refund of what was not captured', async () => {
    const ledger = await Ledger.open(path);
    const declined = charge({ status: 'declined' });
    await ledger.append({ kind: 'charge', charge: declined, dueAtMs: null });
    const again = charge({ key: declined.key });
    expect(() => ledger.append({ kind: 'charge', charge: again, dueAtMs: null })).toThrow(/one charge/);
    expect(() => ledger.append({ kind: 'decided', key: declined.key, status: 'voided' })).toThrow(/pending/);
    expect(() => ledger.append({ kind: 'refund', refund: refundOf(declined, 1) })).toThrow(/captured/);
    await ledger.close();
  });

  test('pages in order, by concert, and forgets one concert', async () => {
    const ledger = await Ledger.open(path);
    const mine = Array.from({ length: 5 }, () => charge());
    const other = charge({ metadata: { ...charge().metadata, concertId: 8 } });
    for (const one of [...mine.slice(0, 2), other, ...mine.slice(2)]) {
      void ledger.append({ kind: 'charge', charge: one, dueAtMs: null });
    }
    await ledger.settled();
    const keys: string[] = [];
    let pages = 0;
    for (let cursor: string | null = '0'; cursor !== null; pages += 1) {
      const page = ledger.page(7, Number(cursor), 2);
      keys.push(...page.items.map(({ key }) => key));
      cursor = page.nextCursor;
    }
    expect(keys).toEqual(mine.map(({ key }) => key));
    expect(pages).toBe(3);
    await ledger.append({ kind: 'cleared', concertId: 7 });
    await ledger.close();
    const again = await Ledger.open(path);
    expect(again.page(undefined, 0, 10).items.map(({ key }) => key)).toEqual([other.key]);
    await again.close();
  });
});

test('what is appended together is on disk together, in order, when it resolves', async () => {
  const { file } = await LedgerFile.open(path);
  const lines = Array.from({ length: 500 }, (_, n) => `line ${n}`);
  await Promise.all(
    lines.map(async (line) => {
      await file.append(line);
      expect(readFileSync(path, 'utf8')).toContain(`${line}\n`);
    }),
  );
  expect(readFileSync(path, 'utf8').split('\n').slice(0, -1)).toEqual(lines);
  await file.close();
});

test('a file of one torn line opens empty', async () => {
  await (await Ledger.open(path)).close();
  writeFileSync(path, '{"kind":"cha');
  const ledger = await Ledger.open(path);
  expect(ledger.page(undefined, 0, 10).items).toEqual([]);
  await ledger.close();
  expect(readFileSync(path, 'utf8')).toBe('');
});
