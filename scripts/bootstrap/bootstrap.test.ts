import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { projectRoot } from '../stack/files.ts';
import { ensureDatabases } from './databases.mjs';
import { checkNativeServer, checkNode } from './native.mjs';
import { alreadyInstalled } from './packages.mjs';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-bootstrap-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bootstrap = (...args: string[]) =>
  spawnSync(process.execPath, [join(projectRoot, 'scripts/bootstrap.mjs'), ...args], { encoding: 'utf8' });

test('without a command the commands are listed', () => {
  const { status, stdout } = bootstrap();
  expect(status).toBe(0);
  for (const name of ['start', 'stop', 'status', 'tokens', 'rush', 'audit', 'recover', 'test', 'check']) {
    expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  }
});

test('an unknown command is answered with the list', () => {
  const { status, stderr } = bootstrap('strat');
  expect(status).toBe(1);
  expect(stderr).toContain('There is no command "strat"');
  expect(stderr).toContain('bring the whole system up');
});

test.each(['start', 'stop', 'status', 'tokens', 'test', 'check'])('%s answers --help', (name) => {
  const { status, stdout } = bootstrap(name, '--help');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Usage: npm /);
});

test('an unknown option is said with the usage', () => {
  const { status, stderr } = bootstrap('status', '--jason');
  expect(status).toBe(1);
  expect(stderr).toMatch(/--jason[\s\S]*Usage: npm run status/);
});

test.each([
  ['20.19.0', true],
  ['20.18.3', false],
  ['18.20.0', false],
  ['22.3.0', true],
  ['24.0.0', true],
])('Node %s is accepted: %s', (version, accepted) => {
  if (accepted) expect(() => checkNode(version)).not.toThrow();
  else expect(() => checkNode(version)).toThrow(/needs Node 20.19.0 or newer; this is/);
});

const node20 = { platform: 'linux', arch: 'x64', abi: '115', node: '20.20.2', libc: '2.36' };
test.each([
  ['Node 20 on Debian 12', node20, true],
  ['Node 22 on Debian 12', { ...node20, abi: '127', node: '22.20.0' }, false],
  ['Node 22 on Debian 13', { ...node20, abi: '127', node: '22.20.0', libc: '2.41' }, true],
  ['Node 20 on Alpine', { ...node20, libc: undefined }, false],
  ['Node 24 on a Mac', { platform: 'darwin', arch: 'arm64', abi: '137', node: '24.1.0', libc: undefined }, true],
  ['Node 23 on a Mac', { platform: 'darwin', arch: 'arm64', abi: '131', node: '23.1.0', libc: undefined }, false],
])('a native server exists for %s: %s', (_, machine, exists) => {
  if (exists) return expect(() => checkNativeServer(projectRoot, machine)).not.toThrow();
  expect(() => checkNativeServer(projectRoot, machine)).toThrow(
    new RegExp(`no binary for this machine: Node ${machine.node}[\\s\\S]*What would work:[\\s\\S]*glibc 2.27`),
  );
});

test('packages that were installed by hand count; optional ones of other platforms may be absent', () => {
  const lock = {
    packages: {
      '': {},
      'services/shared': { version: '0.1.0' },
      'node_modules/zod': { version: '4.6.7' },
      'node_modules/for-windows': { version: '1.0.0', optional: true },
    },
  };
  const record = (version: string) => {
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    writeFileSync(
      join(folder, 'node_modules/.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/zod': { version } } }),
    );
  };
  expect(alreadyInstalled(folder, lock)).toBe(false);
  record('4.6.6');
  expect(alreadyInstalled(folder, lock)).toBe(false);
  record('4.6.7');
  expect(alreadyInstalled(folder, lock)).toBe(true);
});

test('servers that are given by URL need no program', () => {
  const env = { REDIS_URL: 'redis://h', MYSQL_GLOBAL_URL: 'mysql://h/a', MYSQL_SHARD_URLS: 'mysql://h/b' };
  const find = () => undefined;
  expect(() => ensureDatabases({ acceptUrls: true, env, find })).not.toThrow();
});
