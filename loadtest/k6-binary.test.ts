import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findK6, isTooOld, k6VersionOf } from './k6-binary.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'frontrow-k6-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program that says it is k6. */
function fakeK6(name: string, version: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho 'k6 v${version} (go1.24, linux/amd64)'\n`);
  chmodSync(path, 0o755);
  return path;
}
/** A Go whose `go install` does what this shell line says. */
function fakeGo(line: string): string {
  const path = join(folder, 'go');
  writeFileSync(path, `#!/bin/sh\n${line}\n`);
  chmodSync(path, 0o755);
  return path;
}
const nothing = () => ({ given: undefined, onPath: undefined, own: join(folder, 'own/k6'), go: undefined });

test.each([
  ['1.1.0', true],
  ['0.57.0', true],
  ['1.5.9', true],
  ['1.6.0', false],
  ['1.10.0', false],
  ['2.0.0', false],
])('k6 %s: too old %s', (version, tooOld) => expect(isTooOld(version)).toBe(tooOld));

test('K6_BIN is taken before the PATH', async () => {
  const given = fakeK6('given', '1.8.1');
  const places = { ...nothing(), given, onPath: fakeK6('path', '1.9.0') };
  expect(await findK6(() => undefined, places)).toEqual({ path: given, version: '1.8.1' });
});

test('a K6_BIN that is too old is refused by its version, whatever else there is', async () => {
  const places = { ...nothing(), given: fakeK6('given', '1.1.0'), onPath: fakeK6('path', '1.9.0') };
  await expect(findK6(() => undefined, places)).rejects.toThrow(/K6_BIN=.*k6 1\.1\.0 is too old.*1\.6\.0/);
});

test('a K6_BIN that is no k6 is refused', async () => {
  await expect(findK6(() => undefined, { ...nothing(), given: '/bin/true' })).rejects.toThrow('does not run as k6');
});

test('a k6 on the PATH that is too old is named and passed over', async () => {
  const said: string[] = [];
  const places = { ...nothing(), onPath: fakeK6('path', '1.1.0'), own: fakeK6('own', '1.8.1') };
  expect((await findK6((line) => said.push(line), places)).path).toBe(places.own);
  expect(said.join()).toContain('k6 1.1.0 is too old');
});

test('without any, Go builds one, and it is said', async () => {
  const said: string[] = [];
  const places = { ...nothing(), go: fakeGo('[ "$1" = install ] && echo "$2" > "$GOBIN/k6"') };
  expect(await findK6((line) => said.push(line), places)).toEqual({ path: places.own, version: '1.8.1' });
  expect(said.join()).toContain('Building k6 1.8.1');
});

test('a build that fails says why', async () => {
  const places = { ...nothing(), go: fakeGo('echo no network >&2; exit 1') };
  await expect(findK6(() => undefined, places)).rejects.toThrow(/no network[\s\S]*K6_BIN/);
});

test('without k6 and Go, a sentence says how to install it', async () => {
  await expect(findK6(() => undefined, nothing())).rejects.toThrow(/Install k6 .*or set K6_BIN/);
  expect(await k6VersionOf(join(folder, 'absent'))).toBeNull();
});
