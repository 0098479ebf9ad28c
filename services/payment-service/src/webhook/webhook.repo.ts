import { bucketOfConcert, concertIdOf, uuidToBytes } from '@frontrow/shared/ids.ts';
import { isDuplicate, type Shards, statement } from '@frontrow/shared/mysql/pool.ts';

export interface StoredEvent {
  provider: string;
  id: string;
  type: string;
  paymentId: string;
  attempt: number;
  payload: string;
}

export interface WebhookRepo {
  /** @returns whether it still has to be driven: it is new, or an earlier delivery was stored and not driven yet. */
  store(event: StoredEvent): Promise<'to_drive' | 'processed'>;
  processed(paymentId: string, event: { provider: string; id: string }): Promise<void>;
}

const insertEvent = statement(
  'webhook.insert',
  `INSERT INTO webhook_events (concert_id, provider, event_id, type, payment_id, attempt, payload)
   VALUES (?, ?, ?, ?, ?, ?, ?)`,
);
const selectProcessed = statement(
  'webhook.isProcessed',
  `SELECT processed_at IS NOT NULL AS processed FROM webhook_events
   WHERE concert_id = ? AND provider = ? AND event_id = ?`,
);
const updateProcessed = statement(
  'webhook.processed',
  `UPDATE webhook_events SET processed_at = NOW(3)
   WHERE concert_id = ? AND provider = ? AND event_id = ? AND processed_at IS NULL`,
);

export function createWebhookRepo(shards: Shards): WebhookRepo {
  const shardOf = (concertId: number) => shards.ofBucket(bucketOfConcert(concertId));
  return {
    store: async ({ provider, id, type, paymentId, attempt, payload }) => {
      const concertId = concertIdOf(paymentId);
      const shard = shardOf(concertId);
      try {
        await shard.run(insertEvent, [concertId, provider, id, type, uuidToBytes(paymentId), attempt, payload]);
        return 'to_drive';
      } catch (error) {
        if (!isDuplicate(error)) throw error;
      }
      const [known] = await shard.rows<{ processed: number }>(selectProcessed, [concertId, provider, id]);
      return known?.processed === 1 ? 'processed' : 'to_drive';
    },
    processed: async (paymentId, { provider, id }) => {
      const concertId = concertIdOf(paymentId);
      await shardOf(concertId).run(updateProcessed, [concertId, provider, id]);
    },
  };
}
