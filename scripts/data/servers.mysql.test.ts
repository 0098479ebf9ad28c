import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort, startMariadb } from './servers.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function ask(url: string, sql: string): Promise<RowDataPacket[]> {
  const connection = await mysql.createConnection({ uri: url, multipleStatements: true });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
}

function newDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'frontrow-test-mysql-'));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
  return dataDir;
}

describe('startMariadb', () => {
  test('keeps its rows when it is killed, and takes a new root password at the next start', async () => {
    const [dataDir, port] = [newDataDir(), await freePort()];
    const first = await startMariadb({ dataDir, port, rootPassword: `it's "quoted" \\ here` });
    cleanups.push(() => first.kill());
    await ask(first.url, 'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (7)');
    await first.kill();
    await first.exited;

    const second = await startMariadb({ dataDir, port, rootPassword: 'another' });
    cleanups.push(() => second.stop());
    expect(await ask(second.url, 'SELECT id FROM d.t')).toEqual([{ id: 7 }]);
    await expect(ask(first.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR' });
  });

  test('does not take an interrupted installation for a whole one', async () => {
    const dataDir = newDataDir();
    // What an installation leaves behind when it is cut off before its last step.
    mkdirSync(join(dataDir, 'data.new'));
    writeFileSync(join(dataDir, 'data.new', 'ibdata1'), 'half');
    const server = await startMariadb({ dataDir, port: await freePort(), rootPassword: 'p' });
    cleanups.push(() => server.stop());
    expect(existsSync(join(dataDir, 'data.new'))).toBe(false);
    expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('says what the server said when it does not come up', async () => {
    const [dataDir, port] = [newDataDir(), await freePort()];
    await expect(startMariadb({ dataDir, port, rootPassword: 'p', flags: ['--no-such-flag'] })).rejects.toThrow(
      /ended at once .*no-such-flag/s,
    );
  });
});
