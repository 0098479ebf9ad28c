import { randomBytes } from 'node:crypto';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from './migrate.ts';
import { startTestMysql, type TestMysql } from './servers.ts';

const CONCERT = 7;
const USER = randomBytes(16);

let server: TestMysql;
let admin: Connection;
let booking: Connection;
let payment: Connection;

beforeAll(async () => {
  server = await startTestMysql({ shards: 2 });
  admin = await mysql.createConnection({ uri: server.url });
  booking = await mysql.createConnection(at(server.bookingShardUrls, 0));
  payment = await mysql.createConnection(at(server.paymentShardUrls, 0));
  await booking.query(
    `INSERT INTO concerts (concert_id, total_tickets, available_tickets, price_from_minor, currency, layout_version)
     VALUES (?, 2, 2, 100, 'IDR', 1)`,
    [CONCERT],
  );
  await booking.query(
    `INSERT INTO tickets (concert_id, seat_index, seat_number, status, price_minor)
     VALUES (?, 0, 'A-1-1', 'available', 100), (?, 1, 'A-1-2', 'available', 100)`,
    [CONCERT, CONCERT],
  );
});

afterAll(async () => {
  await Promise.all([admin, booking, payment].map((connection) => connection?.end()));
  await server?.stop();
});

describe('migrate', () => {
  test('makes every table of every schema', async () => {
    expect(await tablesOf('frontrow_users')).toEqual(['users']);
    expect(await tablesOf('frontrow_directory')).toEqual(['concerts', 'venues']);
    for (const shard of [0, 1]) {
      expect(await tablesOf(`frontrow_shard_${shard}_booking`)).toEqual([
        'booking_tickets',
        'bookings',
        'concerts',
        'dead_changes',
        'log_cursor',
        'tickets',
        'user_bookings',
      ]);
      expect(await tablesOf(`frontrow_shard_${shard}_payment`)).toEqual([
        'payment_attempts',
        'payments',
        'refunds',
        'webhook_events',
      ]);
    }
  });

  test('does nothing the second time, and keeps the rows', async () => {
    const applied: string[] = [];
    await migrate({ ...target('frontrow'), onApplied: (schema, name) => applied.push(`${schema} ${name}`) });
    expect(applied).toEqual([]);
    const [tickets] = await admin.query<RowDataPacket[]>('SELECT * FROM frontrow_shard_0_booking.tickets');
    expect(tickets).toHaveLength(2);
  });

  test('two migrators at once apply each migration once', async () => {
    const applied: string[] = [];
    const options = {
      ...target('twice'),
      onApplied: (schema: string, name: string) => applied.push(`${schema} ${name}`),
    };
    const [first, second] = await Promise.all([migrate(options), migrate(options)]);
    expect(first).toEqual(second);
    expect(applied).toHaveLength(new Set(applied).size);
    expect(applied).toContain('twice_users 1.users');
    expect(applied).toHaveLength(1 + 2 + 7 + 4);
  });

  test('refuses a URL without a schema prefix', async () => {
    await expect(migrate({ ...target('frontrow'), globalUrl: server.url })).rejects.toThrow(/schema prefix/);
  });
});

/** Migrates schemas of this prefix on the test's server, with the accounts' passwords of the start. */
function target(prefix: string) {
  const passwordOf = (url: string) => decodeURIComponent(new URL(url).password);
  return {
    globalUrl: `${server.url}/${prefix}`,
    shardUrls: [`${server.url}/${prefix}_shard_0`],
    passwords: {
      user: passwordOf(server.usersUrl),
      booking: passwordOf(server.directoryUrl),
      payment: passwordOf(at(server.paymentShardUrls, 0)),
    },
  };
}

describe('rights', () => {
  test('an account reads and writes its own schema', async () => {
    await booking.query('UPDATE concerts SET available_tickets = 1 WHERE concert_id = ?', [CONCERT]);
    await payment.query('SELECT * FROM payments WHERE concert_id = ?', [CONCERT]);
  });

  test.each([
    ['fr_payment', 'SELECT * FROM frontrow_shard_0_booking.bookings'],
    ['fr_payment', 'SELECT * FROM frontrow_directory.concerts'],
    ['fr_payment', 'SELECT * FROM frontrow_users.users'],
    ['fr_payment', 'DROP TABLE frontrow_shard_0_payment.refunds'],
    ['fr_payment', 'CREATE TABLE frontrow_shard_0_payment.more (id INT)'],
    ['fr_booking', 'SELECT * FROM frontrow_shard_0_payment.payments'],
    ['fr_booking', 'SELECT * FROM frontrow_users.users'],
    ['fr_booking', 'ALTER TABLE frontrow_shard_0_booking.tickets ADD COLUMN more INT'],
    ['fr_booking', 'TRUNCATE TABLE frontrow_shard_0_booking.tickets'],
  ])('%s may not: %s', async (account, sql) => {
    const connection = account === 'fr_payment' ? payment : booking;
    await expect(connection.query(sql)).rejects.toMatchObject({
      code: expect.stringMatching(/^ER_(DBACCESS|TABLEACCESS)_DENIED_ERROR$/),
    });
  });

  test('an underscore in a schema name is no wildcard', async () => {
    await admin.query('CREATE DATABASE frontrowXusers');
    const users = await mysql.createConnection(server.usersUrl);
    await expect(users.query('CREATE TABLE frontrowXusers.t (id INT)')).rejects.toThrow(/denied/);
    await expect(users.query('USE frontrowXusers')).rejects.toThrow(/denied/);
    await users.end();
  });
});

describe('constraints', () => {
  test('a seat cannot get a second owner', async () => {
    const [first, second] = [await insertBooking(), await insertBooking()];
    await insertOwner(first, 0);
    await expect(insertOwner(second, 0)).rejects.toMatchObject({
      code: 'ER_DUP_ENTRY',
      message: expect.stringContaining('booking_tickets_one_owner'),
    });
    await insertOwner(second, 1);
  });

  test('an owner needs a booking and a ticket', async () => {
    await expect(insertOwner(randomBytes(16), 0)).rejects.toMatchObject({ code: 'ER_NO_REFERENCED_ROW_2' });
    await expect(insertOwner(await insertBooking(), 99)).rejects.toMatchObject({ code: 'ER_NO_REFERENCED_ROW_2' });
  });

  test.each([
    ['pending', 'held', true],
    ['pending', 'paying', true],
    ['confirmed', 'sold', true],
    ['cancelled', 'ended', true],
    ['cancelled', 'lost', true],
    ['pending', 'sold', false],
    ['pending', 'ended', false],
    ['confirmed', 'held', false],
    ['confirmed', 'lost', false],
    ['cancelled', 'paying', false],
    ['cancelled', 'sold', false],
  ])('a booking that is %s in phase %s is allowed: %s', async (status, phase, isAllowed) => {
    const inserting = insertBooking({ status, phase });
    if (isAllowed) await inserting;
    else await expect(inserting).rejects.toThrow(/bookings_phase_and_status/);
  });

  test('a booking has seats', async () => {
    await expect(insertBooking({ seats: '', seat_count: 0 })).rejects.toThrow(/bookings_have_seats/);
  });

  test('no more tickets are available than there are', async () => {
    await expect(
      booking.query('UPDATE concerts SET available_tickets = 3 WHERE concert_id = ?', [CONCERT]),
    ).rejects.toThrow(/concerts_available/);
  });

  test('a cursor does not stand in an epoch that has not begun', async () => {
    const insert = 'INSERT INTO log_cursor (concert_id, epoch, last_epoch, last_n) VALUES (?, ?, ?, ?)';
    await expect(booking.query(insert, [CONCERT, 1, 2, 0])).rejects.toThrow(/log_cursor_not_ahead/);
    await expect(booking.query(insert, [CONCERT, 1, 1, -2])).rejects.toThrow(/log_cursor_not_ahead/);
    await booking.query(insert, [CONCERT, 1, 1, -1]);
  });

  test('a booking has one payment, and a captured payment has its charge', async () => {
    const bookingId = randomBytes(16);
    await insertPayment({ booking_id: bookingId });
    await expect(insertPayment({ booking_id: bookingId })).rejects.toThrow(/payments_booking/);
    await expect(insertPayment({ status: 'captured' })).rejects.toThrow(/payments_captured_has_charge/);
    await insertPayment({ status: 'captured', transaction_id: 'ch_1' });
    await insertPayment({ status: 'captured', transaction_id: 'CH_1' });
    await expect(insertPayment({ status: 'captured', transaction_id: 'ch_1' })).rejects.toThrow(/payments_transaction/);
  });

  test('an idempotency key belongs to one attempt, and a captured attempt has its charge', async () => {
    const paymentId = await insertPayment({});
    await insertAttempt(paymentId, { attempt: 1, idempotency_key: 'key' });
    await expect(insertAttempt(paymentId, { attempt: 2, idempotency_key: 'key' })).rejects.toThrow(
      /payment_attempts_key/,
    );
    await insertAttempt(paymentId, { attempt: 2, idempotency_key: 'KEY' });
    await expect(insertAttempt(paymentId, { attempt: 3, idempotency_key: 'k3', status: 'captured' })).rejects.toThrow(
      /payment_attempts_captured_has_charge/,
    );
  });

  test('a refund is made once, and is done only with the provider’s word', async () => {
    const paymentId = await insertPayment({});
    const refund = {
      concert_id: CONCERT,
      payment_id: paymentId,
      n: 1,
      charge_id: 'ch_2',
      amount_minor: 1,
      reason: 'lost',
    };
    await expect(payment.query('INSERT INTO refunds SET ?', { ...refund, status: 'done' })).rejects.toThrow(
      /refunds_done_has_proof/,
    );
    await payment.query('INSERT INTO refunds SET ?', { ...refund, status: 'pending' });
    await expect(payment.query('INSERT INTO refunds SET ?', { ...refund, status: 'pending' })).rejects.toMatchObject({
      code: 'ER_DUP_ENTRY',
    });
  });
});

async function insertBooking(changes: Record<string, unknown> = {}): Promise<Buffer> {
  const id = randomBytes(16);
  const now = new Date();
  await booking.query('INSERT INTO bookings SET ?', {
    concert_id: CONCERT,
    id,
    user_id: USER,
    status: 'confirmed',
    phase: 'sold',
    seats: '0',
    seat_count: 1,
    total_amount_minor: 100,
    currency: 'IDR',
    keyed: false,
    expires_at: now,
    held_until: now,
    booking_date: now,
    version: 1,
    ...changes,
  });
  return id;
}

async function insertOwner(bookingId: Buffer, seatIndex: number): Promise<void> {
  await booking.query('INSERT INTO booking_tickets (concert_id, booking_id, seat_index) VALUES (?, ?, ?)', [
    CONCERT,
    bookingId,
    seatIndex,
  ]);
}

async function insertPayment(changes: Record<string, unknown>): Promise<Buffer> {
  const id = randomBytes(16);
  await payment.query('INSERT INTO payments SET ?', {
    concert_id: CONCERT,
    id,
    booking_id: randomBytes(16),
    user_id: USER,
    seats: '0',
    amount_minor: 100,
    currency: 'IDR',
    payment_method: 'pm_ok',
    status: 'pending',
    attempt: 1,
    ...changes,
  });
  return id;
}

async function insertAttempt(paymentId: Buffer, changes: Record<string, unknown>): Promise<void> {
  await payment.query('INSERT INTO payment_attempts SET ?', {
    concert_id: CONCERT,
    payment_id: paymentId,
    request_hash: randomBytes(32),
    payment_method: 'pm_ok',
    hold_expires_at: new Date(),
    status: 'pending',
    ...changes,
  });
}

async function tablesOf(schema: string): Promise<string[]> {
  const [rows] = await admin.query<RowDataPacket[]>(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = ? AND table_name <> 'schemaversion'`,
    [schema],
  );
  return rows.map((row) => String(row.name)).sort();
}

function at(urls: readonly string[], index: number): string {
  const url = urls[index];
  if (url === undefined) throw new Error(`no URL number ${index}`);
  return url;
}
