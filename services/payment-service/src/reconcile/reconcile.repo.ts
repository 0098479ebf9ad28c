import { formatUuid } from '@frontrow/shared/ids.ts';
import { type Database, type SqlParams, statement } from '@frontrow/shared/mysql/pool.ts';

/** Where a pass over a shard stands: the last row that it took. */
export interface PaymentCursor {
  updatedAt: Date;
  concertId: number;
  id: Buffer;
}
export interface EventCursor {
  receivedAt: Date;
  concertId: number;
  provider: string;
  id: string;
}
export interface UnprocessedEvent {
  paymentId: string;
  attempt: number;
  event: { provider: string; id: string };
}

// These two look at a whole shard, along an index and in bounded batches; so they are the only ones without a concert.
const selectUnfinished = statement(
  'reconcile.unfinished',
  `SELECT concert_id, id, updated_at FROM payments
   WHERE status = ? AND updated_at >= ? AND updated_at < NOW(3) - INTERVAL ? SECOND
     AND (updated_at, concert_id, id) > (?, ?, ?)
   ORDER BY updated_at, concert_id, id LIMIT ?`,
);
const selectUnprocessed = statement(
  'reconcile.unprocessed',
  `SELECT concert_id, provider, event_id, payment_id, attempt, received_at FROM webhook_events
   WHERE processed_at IS NULL AND received_at >= ? AND received_at < NOW(3) - INTERVAL ? SECOND
     AND payment_id IS NOT NULL AND attempt IS NOT NULL
     AND (received_at, concert_id, provider, event_id) > (?, ?, ?, ?)
   ORDER BY received_at, concert_id, provider, event_id LIMIT ?`,
);

const start = new Date('2000-01-01T00:00:00Z');

/** Payments of this status that nothing has moved for `idleMs`, oldest first, after the cursor. */
export async function findUnfinished(
  shard: Database,
  status: string,
  options: { idleMs: number; after: PaymentCursor | null; max: number },
): Promise<{ ids: string[]; last: PaymentCursor | null }> {
  const { updatedAt, concertId, id } = options.after ?? { updatedAt: start, concertId: 0, id: Buffer.alloc(16) };
  const params: SqlParams = [status, updatedAt, options.idleMs / 1_000, updatedAt, concertId, id, options.max];
  const rows = await shard.rows<{ concert_id: number; id: Buffer; updated_at: Date }>(selectUnfinished, params);
  const last = rows.at(-1);
  return {
    ids: rows.map((row) => formatUuid(row.id)),
    last: last === undefined ? null : { updatedAt: last.updated_at, concertId: last.concert_id, id: last.id },
  };
}

/** Webhook events that were stored and not driven within `idleMs`, oldest first, after the cursor. */
export async function findUnprocessed(
  shard: Database,
  options: { idleMs: number; after: EventCursor | null; max: number },
): Promise<{ events: UnprocessedEvent[]; last: EventCursor | null }> {
  const { receivedAt, concertId, provider, id } = options.after ?? {
    receivedAt: start,
    concertId: 0,
    provider: '',
    id: '',
  };
  const params: SqlParams = [receivedAt, options.idleMs / 1_000, receivedAt, concertId, provider, id, options.max];
  const rows = await shard.rows<EventRow>(selectUnprocessed, params);
  const last = rows.at(-1);
  return {
    events: rows.map((row) => ({
      paymentId: formatUuid(row.payment_id),
      attempt: row.attempt,
      event: { provider: row.provider, id: row.event_id },
    })),
    last:
      last === undefined
        ? null
        : { receivedAt: last.received_at, concertId: last.concert_id, provider: last.provider, id: last.event_id },
  };
}

interface EventRow {
  concert_id: number;
  provider: string;
  event_id: string;
  payment_id: Buffer;
  attempt: number;
  received_at: Date;
}
