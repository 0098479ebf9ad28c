import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { chargeReply } from '@frontrow/shared/contracts/provider.ts';
import { formatUuid } from '@frontrow/shared/ids.ts';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { projectRoot } from '../../scripts/stack/files.ts';
import { type Stack, startStack } from '../../scripts/stack/stack.ts';

/** `npm run audit` on a real system, of which one concert was sold over the API. */
let stack: Stack;
let admin: Connection;
let concertId: number;
/** The schemas of the shard that has the concert. */
let booking: string;
let payment: string;

beforeAll(async () => {
  stack = await startStack({ seed: true });
  concertId = stack.concerts['last-seats'] ?? 0;
  admin = await mysql.createConnection({ uri: new URL('/', stack.databases.mysql.shards[0]).toString() });
  for (const url of stack.databases.mysql.shards) {
    const prefix = new URL(url).pathname.slice(1);
    const sql = `SELECT concert_id FROM ${prefix}_booking.concerts WHERE concert_id = ?`;
    const [found] = await admin.query<RowDataPacket[]>(sql, [concertId]);
    if (found.length > 0) [booking, payment] = [`${prefix}_booking`, `${prefix}_payment`];
  }
});

afterAll(async () => {
  await admin?.end();
  await stack?.stop();
});

function audit(...args: string[]): Promise<{ code: number; said: string }> {
  const command = [join(projectRoot, 'scripts/bootstrap.mjs'), 'audit', ...args];
  const env = { ...process.env, FRONTROW_DATA_DIR: stack.settings.dataDir };
  return new Promise((resolve) => {
    execFile(process.execPath, command, { env, maxBuffer: 64e6 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr });
    });
  });
}
const auditOne = () => audit('--concert', 'last-seats', '--wait', '5s');
const change = async (sql: string, ...params: (Buffer | number)[]): Promise<void> => {
  await admin.query('SET foreign_key_checks = 0');
  const [result] = await admin.query(sql, params);
  expect(result).toMatchObject({ affectedRows: 1 });
};

test('every concert of a fresh system passes (the control)', async () => {
  const { code, said } = await audit('--all', '--json');
  expect(code).toBe(0);
  const reports: { concertId: number; passed: boolean; seats: { sold: number } }[] = JSON.parse(said);
  expect(reports).toHaveLength(Object.keys(stack.concerts).length);
  expect(reports.filter(({ passed }) => !passed)).toEqual([]);
  expect(reports.find((report) => report.concertId === concertId)?.seats.sold).toBeGreaterThan(200);
});

test('deleting one ticket row is found', async () => {
  const where = `FROM ${booking}.tickets WHERE concert_id = ? AND seat_index = 0`;
  await admin.query(`CREATE TABLE ${booking}.kept SELECT * ${where}`, [concertId]);
  await change(`DELETE ${where}`, concertId);
  const { code, said } = await auditOne();
  await admin.query(`INSERT INTO ${booking}.tickets SELECT * FROM ${booking}.kept`);
  await admin.query(`DROP TABLE ${booking}.kept`);
  expect(code).toBe(1);
  expect(said).toContain('ticket rows for');
});

test('swapping an owner is found', async () => {
  const sql = `SELECT id, user_id FROM ${booking}.bookings WHERE concert_id = ? AND phase = 'sold' ORDER BY id LIMIT 2`;
  const [[first, second]] = await admin.query<RowDataPacket[]>(sql, [concertId]);
  if (!first || !second) throw new Error('the concert was not sold');
  const setOwner = `UPDATE ${booking}.bookings SET user_id = ? WHERE concert_id = ? AND id = ?`;
  await change(setOwner, second.user_id, concertId, first.id);
  const { code, said } = await auditOne();
  await change(setOwner, first.user_id, concertId, first.id);
  expect(code).toBe(1);
  for (const id of [first.id, first.user_id, second.user_id]) expect(said).toContain(formatUuid(id));
});

test('a wrong number is said with what would be right', async () => {
  expect(await audit('--concert', 'nosuch')).toEqual({ code: 1, said: expect.stringContaining('theatre') });
});

test('doubling a charge is found', async () => {
  const sql = `SELECT * FROM ${payment}.payments WHERE concert_id = ? AND status = 'completed' LIMIT 1`;
  const [[row]] = await admin.query<RowDataPacket[]>(sql, [concertId]);
  if (!row) throw new Error('the concert was not paid');
  const metadata = { concertId, paymentId: formatUuid(row.id), bookingId: formatUuid(row.booking_id) };
  const response = await fetch(`${stack.addresses.sandbox}/v1/charges`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.secrets.values.sandboxApiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      key: `${metadata.paymentId}:planted`,
      amountMinor: Number(row.amount_minor),
      currency: row.currency,
      paymentMethod: 'pm_ok',
      metadata,
    }),
  });
  const charge = chargeReply.parse(await response.json());
  const { code, said } = await auditOne();
  expect(code).toBe(1);
  expect(said).toContain(`charge ${charge.id} of payment ${metadata.paymentId}`);
});
