import assert from 'node:assert/strict';
import {
  type Charge,
  type ChargeStatus,
  chargeReply,
  type LedgerItem,
  type Refund,
  refundReply,
} from '@frontrow/shared/contracts/provider.ts';
import { z } from 'zod';
import { LedgerFile } from './ledger.file.ts';

/** One line of the ledger's file. The state is what these make of it, in their order. */
const entrySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('charge'), charge: chargeReply, dueAtMs: z.number().nullable() }),
  z.strictObject({
    kind: z.literal('decided'),
    key: z.string(),
    status: z.enum(['succeeded', 'declined', 'voided']),
    failure: chargeReply.shape.failure,
  }),
  z.strictObject({ kind: z.literal('refund'), refund: refundReply }),
  z.strictObject({ kind: z.literal('cleared'), concertId: z.number() }),
]);
type Entry = z.infer<typeof entrySchema>;

/** A charge that is decided stays so. */
const moves: Readonly<Record<ChargeStatus, readonly ChargeStatus[]>> = {
  pending: ['succeeded', 'declined', 'voided'],
  succeeded: [],
  declined: [],
  voided: [],
};

interface Account {
  /** Its place in the ledger's order; never used again. */
  place: number;
  charge: Charge;
  dueAtMs: number | null;
  refunds: Refund[];
}

/** Charges and refunds, in memory and in an append-only file that survives a killed process. */
export class Ledger {
  readonly #file: LedgerFile;
  readonly #byKey = new Map<string, Account>();
  readonly #byId = new Map<string, Account>();
  readonly #refunds = new Map<string, Refund>();
  #places = 0;

  private constructor(file: LedgerFile) {
    this.#file = file;
  }

  /** @throws when a whole line is no entry: the file is damaged, and guessing would falsify money. */
  static async open(path: string): Promise<Ledger> {
    const { file, lines } = await LedgerFile.open(path);
    const ledger = new Ledger(file);
    for (const [index, line] of lines.entries()) {
      try {
        ledger.#apply(entrySchema.parse(JSON.parse(line)));
      } catch (error) {
        await file.close();
        throw new Error(`line ${index + 1} of ${path} is no entry of the ledger`, { cause: error });
      }
    }
    return ledger;
  }

  charge(key: string): Charge | undefined {
    return this.#byKey.get(key)?.charge;
  }

  refund(key: string): Refund | undefined {
    return this.#refunds.get(key);
  }

  /** @returns a charge by its id, and what is left of it after its refunds. */
  chargeById(id: string): { charge: Charge; leftMinor: number } | undefined {
    const account = this.#byId.get(id);
    if (account === undefined) return undefined;
    const refundedMinor = account.refunds.reduce((sum, { amountMinor }) => sum + amountMinor, 0);
    return { charge: account.charge, leftMinor: account.charge.amountMinor - refundedMinor };
  }

  pending(): { charge: Charge; dueAtMs: number }[] {
    return [...this.#byKey.values()].flatMap(({ charge, dueAtMs }) =>
      charge.status === 'pending' && dueAtMs !== null ? [{ charge, dueAtMs }] : [],
    );
  }

  /** @param cursor the place behind which the page begins. */
  page(
    concertId: number | undefined,
    cursor: number,
    limit: number,
  ): { items: LedgerItem[]; nextCursor: string | null } {
    const items: LedgerItem[] = [];
    let last = cursor;
    for (const { place, charge, refunds } of this.#byKey.values()) {
      if (place <= cursor || (concertId !== undefined && charge.metadata.concertId !== concertId)) continue;
      if (items.length === limit) return { items, nextCursor: String(last) };
      items.push({ ...charge, refunds: [...refunds] });
      last = place;
    }
    return { items, nextCursor: null };
  }

  /** Changes the state at once, so that two requests see each other; resolves when it is on disk. */
  append(entry: Entry): Promise<void> {
    this.#apply(entry);
    return this.#file.append(JSON.stringify(entry));
  }

  /** What was read may be told when this resolves: before that a crash could undo it. */
  settled(): Promise<void> {
    return this.#file.settled();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** @returns the number of charges of this concert. */
  count(concertId: number): number {
    return [...this.#byKey.values()].filter(({ charge }) => charge.metadata.concertId === concertId).length;
  }

  #apply(entry: Entry): void {
    switch (entry.kind) {
      case 'charge': {
        const { charge, dueAtMs } = entry;
        assert(!this.#byKey.has(charge.key), 'a key has one charge');
        this.#places += 1;
        const account = { place: this.#places, charge, dueAtMs, refunds: [] };
        this.#byKey.set(charge.key, account);
        this.#byId.set(charge.id, account);
        return;
      }
      case 'decided': {
        const account = this.#byKey.get(entry.key);
        assert(account && moves[account.charge.status].includes(entry.status), 'only a pending charge is decided');
        account.charge = { ...account.charge, status: entry.status, ...(entry.failure && { failure: entry.failure }) };
        return;
      }
      case 'refund': {
        const account = this.#byId.get(entry.refund.chargeId);
        assert(account && account.charge.status === 'succeeded', 'only captured money is refunded');
        account.refunds.push(entry.refund);
        this.#refunds.set(entry.refund.key, entry.refund);
        return;
      }
      case 'cleared':
        for (const { charge, refunds } of this.#byKey.values()) {
          if (charge.metadata.concertId !== entry.concertId) continue;
          for (const { key } of refunds) this.#refunds.delete(key);
          this.#byKey.delete(charge.key);
          this.#byId.delete(charge.id);
        }
    }
  }
}
