import type { PaymentStatus } from '@frontrow/shared/contracts/payment.ts';
import { bucketOfConcert, concertIdOf, formatUuid, uuidToBytes } from '@frontrow/shared/ids.ts';
import {
  type Database,
  isDuplicate,
  isTransient,
  type Shards,
  type Sql,
  statement,
} from '@frontrow/shared/mysql/pool.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { Failure } from '../provider/provider.ts';
import { type Attempt, type PaymentEvent, type PaymentState, transitionOf } from './payment.ts';

/** A payment as its row has it, with the promise that its newest attempt was given. */
export interface Payment extends PaymentState {
  concertId: number;
  id: string;
  bookingId: string;
  userId: string;
  /** Seat indexes, frozen before the provider was called. */
  seats: number[];
  amountMinor: number;
  currency: string;
  paymentMethod: string;
  /** The provider's id of the captured charge. */
  transactionId: string | null;
  failure: Failure | null;
}

export interface NewAttempt extends Attempt {
  paymentMethod: string;
  holdExpiresAtMs: number;
}
export type NewPayment = Pick<Payment, 'id' | 'bookingId' | 'userId' | 'seats' | 'amountMinor' | 'currency'>;

/** An event that moves the row, with what it writes beside the status. */
export type Move =
  | { event: 'declined'; failure: Failure; attemptStatus: 'failed' | 'voided' }
  | { event: 'retried'; next: NewAttempt }
  | { event: 'charged'; chargeId: string }
  | { event: 'settled' }
  | { event: 'lost' | 'cancelled' }
  | { event: 'refunded'; refundId: string };

export interface Refund {
  n: number;
  chargeId: string;
  amountMinor: number;
  status: 'pending' | 'done';
}

export interface PaymentRepo {
  read(paymentId: string): Promise<Payment | null>;
  readAttempts(paymentId: string): Promise<Attempt[]>;
  /** The `posted` transition. @returns false when the booking has a payment already. */
  insert(payment: NewPayment, first: NewAttempt): Promise<boolean>;
  /** Compare-and-set. @returns false when the row is no longer as it was read: read it again and do what it says. */
  move(payment: Payment, move: Move): Promise<boolean>;
  /** A charge of another attempt than the row's: notes it and its one refund. Safe to repeat. */
  noteStray(payment: Payment, stray: { attempt: number; chargeId: string; amountMinor: number }): Promise<void>;
  readRefund(payment: Payment, n: number): Promise<Refund | null>;
  finishRefund(payment: Payment, n: number, refundId: string): Promise<void>;
}

const selectPayment = statement(
  'payment.read',
  `SELECT p.concert_id, p.id, p.booking_id, p.user_id, p.seats, p.amount_minor, p.currency, p.payment_method, p.status,
          p.attempt, p.transaction_id, p.failure_code, p.failure_detail, a.hold_expires_at
   FROM payments p
   JOIN payment_attempts a ON a.concert_id = p.concert_id AND a.payment_id = p.id AND a.attempt = p.attempt
   WHERE p.concert_id = ? AND p.id = ?`,
);
const selectAttempts = statement(
  'payment.attempts',
  `SELECT attempt, idempotency_key, request_hash FROM payment_attempts
   WHERE concert_id = ? AND payment_id = ? ORDER BY attempt`,
);
const insertPayment = statement(
  'payment.insert',
  `INSERT INTO payments
     (concert_id, id, booking_id, user_id, seats, amount_minor, currency, payment_method, status, attempt)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
const insertAttempt = statement(
  'payment.insertAttempt',
  `INSERT INTO payment_attempts
     (concert_id, payment_id, attempt, idempotency_key, request_hash, payment_method, hold_expires_at, status)
   VALUES (?, ?, ?, ?, ?, ?, ?, 'pending')`,
);
/** The only statement that changes a payment's row. */
const compareAndSet = statement(
  'payment.compareAndSet',
  `UPDATE payments
   SET status = ?, attempt = ?, payment_method = COALESCE(?, payment_method),
       transaction_id = COALESCE(?, transaction_id), payment_date = COALESCE(?, payment_date),
       failure_code = ?, failure_detail = ?
   WHERE concert_id = ? AND id = ? AND attempt = ? AND status IN (?)`,
);
const endAttempt = statement(
  'payment.endAttempt',
  `UPDATE payment_attempts
   SET status = ?, charge_id = COALESCE(?, charge_id), failure_code = ?, failure_detail = ?
   WHERE concert_id = ? AND payment_id = ? AND attempt = ?`,
);
const insertRefund = statement(
  'payment.insertRefund',
  `INSERT INTO refunds (concert_id, payment_id, n, charge_id, amount_minor, status, reason)
   VALUES (?, ?, ?, ?, ?, 'pending', ?)`,
);
const selectRefund = statement(
  'payment.refund',
  'SELECT n, charge_id, amount_minor, status FROM refunds WHERE concert_id = ? AND payment_id = ? AND n = ?',
);
const endRefund = statement(
  'payment.endRefund',
  `UPDATE refunds SET status = 'done', provider_refund_id = ? WHERE concert_id = ? AND payment_id = ? AND n = ?`,
);

/** Conflicting transactions (InnoDB deadlocks) are done again at once, this often. */
const conflictTriesMax = 4;

export function createPaymentRepo(shards: Shards): PaymentRepo {
  const shardOf = (concertId: number): Database => shards.ofBucket(bucketOfConcert(concertId));
  const inTransaction = async <T>(concertId: number, work: (sql: Sql) => Promise<T>): Promise<T> => {
    for (let triesLeft = conflictTriesMax; ; triesLeft -= 1) {
      try {
        return await shardOf(concertId).transaction(work);
      } catch (error) {
        if (error instanceof UnavailableError || !isTransient(error)) throw error;
        if (triesLeft <= 1) throw new UnavailableError('The payment is being changed by many at once.');
      }
    }
  };
  return {
    read: async (paymentId) => {
      const concertId = concertIdOf(paymentId);
      const [row] = await shardOf(concertId).rows<PaymentRow>(selectPayment, [concertId, uuidToBytes(paymentId)]);
      return row === undefined ? null : paymentOf(row);
    },
    readAttempts: async (paymentId) => {
      const concertId = concertIdOf(paymentId);
      const rows = await shardOf(concertId).rows<AttemptRow>(selectAttempts, [concertId, uuidToBytes(paymentId)]);
      return rows.map((row) => ({
        attempt: row.attempt,
        idempotencyKey: row.idempotency_key,
        requestHash: row.request_hash,
      }));
    },
    insert: async (payment, first) => {
      const concertId = concertIdOf(payment.id);
      try {
        await inTransaction(concertId, (sql) => insertWithAttempt(sql, concertId, payment, first));
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    },
    move: (payment, move) =>
      inTransaction(payment.concertId, async (sql) => {
        const won = await setStatus(sql, payment, move);
        if (won) await writeBeside(sql, payment, move);
        return won;
      }),
    noteStray: async (payment, { attempt, chargeId, amountMinor }) => {
      const { concertId, id } = payment;
      try {
        await inTransaction(concertId, async (sql) => {
          await sql.run(insertRefund, [concertId, uuidToBytes(id), attempt, chargeId, amountMinor, 'stray']);
          await sql.run(endAttempt, ['captured', chargeId, null, null, concertId, uuidToBytes(id), attempt]);
        });
      } catch (error) {
        if (!isDuplicate(error)) throw error;
      }
    },
    readRefund: async ({ concertId, id }, n) => {
      const [row] = await shardOf(concertId).rows<RefundRow>(selectRefund, [concertId, uuidToBytes(id), n]);
      if (row === undefined) return null;
      return { n: row.n, chargeId: row.charge_id, amountMinor: Number(row.amount_minor), status: row.status };
    },
    finishRefund: async ({ concertId, id }, n, refundId) => {
      await shardOf(concertId).run(endRefund, [refundId, concertId, uuidToBytes(id), n]);
    },
  };
}

async function insertWithAttempt(sql: Sql, concertId: number, payment: NewPayment, first: NewAttempt): Promise<void> {
  const id = uuidToBytes(payment.id);
  await sql.run(insertPayment, [
    concertId,
    id,
    uuidToBytes(payment.bookingId),
    uuidToBytes(payment.userId),
    payment.seats.join(','),
    payment.amountMinor,
    payment.currency,
    first.paymentMethod,
    transitionOf('posted').to,
    first.attempt,
  ]);
  await insertNewAttempt(sql, concertId, id, first);
}

const insertNewAttempt = (sql: Sql, concertId: number, id: Buffer, attempt: NewAttempt): Promise<number> =>
  sql.run(insertAttempt, [
    concertId,
    id,
    attempt.attempt,
    attempt.idempotencyKey,
    attempt.requestHash,
    attempt.paymentMethod,
    new Date(attempt.holdExpiresAtMs),
  ]);

/** Moves the row along a named transition, and only if it still is at the attempt that was read and where the transition starts. */
async function setStatus(sql: Sql, payment: Payment, move: Move): Promise<boolean> {
  const { from, to } = transitionOf(move.event satisfies PaymentEvent);
  const next = move.event === 'retried' ? move.next : null;
  const failure = move.event === 'declined' ? move.failure : null;
  const changed = await sql.run(compareAndSet, [
    to,
    next?.attempt ?? payment.attempt,
    next?.paymentMethod ?? null,
    move.event === 'charged' ? move.chargeId : null,
    move.event === 'charged' ? new Date() : null,
    failure?.code.slice(0, 64) ?? null,
    failure?.detail.slice(0, 255) ?? null,
    payment.concertId,
    uuidToBytes(payment.id),
    payment.attempt,
    [...from],
  ]);
  return changed === 1;
}

/** What belongs to a move in the other tables, in its transaction. */
async function writeBeside(sql: Sql, payment: Payment, move: Move): Promise<void> {
  const { concertId, attempt } = payment;
  const id = uuidToBytes(payment.id);
  switch (move.event) {
    case 'declined': {
      const { code, detail } = move.failure;
      const values = [move.attemptStatus, null, code.slice(0, 64), detail.slice(0, 255), concertId, id, attempt];
      await sql.run(endAttempt, values);
      return;
    }
    case 'retried':
      await insertNewAttempt(sql, concertId, id, move.next);
      return;
    case 'charged':
      await sql.run(endAttempt, ['captured', move.chargeId, null, null, concertId, id, attempt]);
      return;
    case 'lost':
    case 'cancelled':
      await sql.run(insertRefund, [concertId, id, attempt, payment.transactionId, payment.amountMinor, move.event]);
      return;
    case 'refunded':
      await sql.run(endRefund, [move.refundId, concertId, id, attempt]);
      return;
    case 'settled':
  }
}

interface PaymentRow {
  concert_id: number;
  id: Buffer;
  booking_id: Buffer;
  user_id: Buffer;
  seats: Buffer;
  amount_minor: number | string;
  currency: string;
  payment_method: string;
  status: PaymentStatus;
  attempt: number;
  transaction_id: string | null;
  failure_code: string | null;
  failure_detail: string | null;
  hold_expires_at: Date;
}
interface AttemptRow {
  attempt: number;
  idempotency_key: string;
  request_hash: Buffer;
}
interface RefundRow {
  n: number;
  charge_id: string;
  amount_minor: number | string;
  status: 'pending' | 'done';
}

const paymentOf = (row: PaymentRow): Payment => ({
  concertId: row.concert_id,
  id: formatUuid(row.id),
  bookingId: formatUuid(row.booking_id),
  userId: formatUuid(row.user_id),
  seats: row.seats.toString('ascii').split(',').map(Number),
  amountMinor: Number(row.amount_minor),
  currency: row.currency,
  paymentMethod: row.payment_method,
  status: row.status,
  attempt: row.attempt,
  transactionId: row.transaction_id,
  failure: row.failure_code === null ? null : { code: row.failure_code, detail: row.failure_detail ?? '' },
  holdExpiresAtMs: row.hold_expires_at.getTime(),
});
