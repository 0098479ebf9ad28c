/** Installs the npm packages when the lockfile says something else than node_modules holds. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stop } from './stop.mjs';

/** @param root the project's folder; @throws Stop when npm fails. */
export function ensurePackages(root) {
  const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(lockText).digest('hex');
  const marker = join(root, 'node_modules/.frontrow-lock');
  if (existsSync(marker) && readFileSync(marker, 'utf8').trim() === wanted) return;
  if (!alreadyInstalled(root, JSON.parse(lockText))) install(root);
  writeFileSync(marker, `${wanted}\n`);
}

/**
 * Someone may have run `npm install` by hand: npm's own record of node_modules then agrees with the lockfile, and
 * installing again would only cost time. Optional packages of other platforms are absent by right.
 */
export function alreadyInstalled(root, lock) {
  const record = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.includes('node_modules/') && !entry.optional)
    .every(([path, entry]) => (entry.link ? installed[path]?.link : installed[path]?.version === entry.version));
}

function install(root) {
  console.log('Installing npm packages (npm ci), as the lockfile is new here ...');
  // npm's own script is preferred: `npm` alone is a shell script on Windows.
  const [command, ...first] = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const result = spawnSync(
    command,
    [...first, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32' && first.length === 0,
    },
  );
  if (result.status === 0) return;
  const why = result.error ? result.error.message : `exit code ${result.status}`;
  throw new Stop(`npm ci failed (${why}). Its own words are above; after the repair, run the same command again.`);
}
