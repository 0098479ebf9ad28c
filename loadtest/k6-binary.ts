import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../scripts/cli.ts';
import { findBinary } from '../scripts/data/servers.ts';
import { projectRoot } from '../scripts/stack/files.ts';

const run = promisify(execFile);

/** The version that is installed when there is none. */
const wantedVersion = '1.8.1';
/** The first with `k6/websockets` (https://github.com/grafana/k6/pull/5579). */
export const oldestVersion = '1.6.0';

interface Places {
  /** What K6_BIN says; it is used or refused, never passed over. */
  given: string | undefined;
  onPath: string | undefined;
  /** `.data/bin/k6` of the project. */
  own: string;
  go: string | undefined;
}

export const k6Places = (): Places => ({
  given: process.env.K6_BIN || undefined,
  onPath: findBinary('k6'),
  own: join(projectRoot, '.data/bin/k6'),
  go: findBinary('go') ?? ['/usr/local/go/bin/go'].find(existsSync),
});

/**
 * A k6 that is new enough: K6_BIN, the PATH, the project's own, or a fresh one built by Go.
 * @returns its path and version.
 * @throws UserError with what to type when none can be had.
 */
export async function findK6(
  say: (line: string) => void,
  places = k6Places(),
): Promise<{ path: string; version: string }> {
  const { given, onPath, own, go } = places;
  if (given !== undefined) {
    const version = await k6VersionOf(given);
    if (version === null) throw new UserError(`K6_BIN=${given} does not run as k6.`);
    if (isTooOld(version)) throw new UserError(`K6_BIN=${given}: ${tooOld(version)}`);
    return { path: given, version };
  }
  for (const path of [onPath, own]) {
    const version = path === undefined ? null : await k6VersionOf(path);
    if (path === undefined || version === null) continue;
    if (!isTooOld(version)) return { path, version };
    say(`${path}: ${tooOld(version)}`);
  }
  if (go === undefined) {
    throw new UserError(
      `The rush needs k6 ${oldestVersion} or newer, and there is neither one nor a Go that could build it. Install k6 ` +
        '(https://grafana.com/docs/k6/latest/set-up/install-k6/) or Go, or set K6_BIN to a k6 binary.',
    );
  }
  say(`Building k6 ${wantedVersion} into ${own} with ${go}: once, a minute or two ...`);
  await install(go, own);
  return { path: own, version: wantedVersion };
}

async function install(go: string, own: string): Promise<void> {
  const folder = join(own, '..');
  mkdirSync(folder, { recursive: true });
  try {
    await run(go, ['install', `go.k6.io/k6@v${wantedVersion}`], {
      env: { ...process.env, GOBIN: folder },
      maxBuffer: 16e6,
    });
  } catch (error) {
    const reason =
      error instanceof Error && 'stderr' in error ? String(error.stderr).trim().slice(-1_000) : String(error);
    throw new UserError(
      `Go could not build k6 ${wantedVersion}:\n${reason}\nInstall k6 yourself, or set K6_BIN to a k6 binary.`,
    );
  }
}

/** @returns the version, or null when the program is no k6 that runs. */
export async function k6VersionOf(path: string): Promise<string | null> {
  try {
    const { stdout } = await run(path, ['version']);
    return /^k6(?:\.exe)? v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}

export function isTooOld(version: string): boolean {
  const [parts, oldest] = [version, oldestVersion].map((text) => text.split('.').map(Number)) as [number[], number[]];
  const differing = oldest.findIndex((number, index) => number !== parts[index]);
  return differing >= 0 && (parts[differing] ?? 0) < (oldest[differing] ?? 0);
}

const tooOld = (version: string): string => `k6 ${version} is too old: k6/websockets came with ${oldestVersion}.`;
