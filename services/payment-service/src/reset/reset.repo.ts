import { bucketOfConcert } from '@frontrow/shared/ids.ts';
import { type Shards, statement } from '@frontrow/shared/mysql/pool.ts';

const deleteRefunds = statement('reset.refunds', 'DELETE FROM refunds WHERE concert_id = ?');
const deleteAttempts = statement('reset.attempts', 'DELETE FROM payment_attempts WHERE concert_id = ?');
const deleteEvents = statement('reset.events', 'DELETE FROM webhook_events WHERE concert_id = ?');
const deletePayments = statement('reset.payments', 'DELETE FROM payments WHERE concert_id = ?');

/** Deletes every payment row of a concert. @returns how many payments there were. */
export function createReset(shards: Shards): (concertId: number) => Promise<number> {
  return (concertId) =>
    shards.ofBucket(bucketOfConcert(concertId)).transaction(async (sql) => {
      for (const each of [deleteRefunds, deleteAttempts, deleteEvents]) await sql.run(each, [concertId]);
      return await sql.run(deletePayments, [concertId]);
    });
}
