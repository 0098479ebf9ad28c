/** Finds redis-server and mariadbd (or mysqld); as root on Debian and Ubuntu it installs what is missing. */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Stop } from './stop.mjs';

/** `urls`: settings that, when all are given, make the program unnecessary. */
const servers = [
  { title: 'Redis', programs: ['redis-server'], urls: ['REDIS_URL'], apt: 'redis-server', brew: 'redis' },
  {
    title: 'MariaDB or MySQL',
    programs: ['mariadbd', 'mysqld'],
    urls: ['MYSQL_GLOBAL_URL', 'MYSQL_SHARD_URLS'],
    apt: 'mariadb-server',
    brew: 'mariadb',
  },
];

/** Where packages put server programs that are not always on a person's PATH. */
const extraFolders = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/usr/local/bin',
  '/opt/homebrew/bin',
  '/usr/libexec',
  '/opt/homebrew/opt/mariadb/bin',
  '/usr/local/opt/mariadb/bin',
];

/**
 * @param options.acceptUrls servers given by URL count as found (tests never take them: they need their own)
 * @throws Stop with the one command to type when something is missing and cannot be installed from here.
 */
export function ensureDatabases({ acceptUrls, env = process.env, find = findProgram }) {
  const missing = servers.filter((server) => {
    if (acceptUrls && server.urls.every((name) => env[name])) return false;
    return !server.programs.some((program) => find(program));
  });
  if (missing.length === 0) return;

  const names = missing.map(({ title }) => title).join(' and ');
  if (!canUseApt()) throw new Stop(whatToType(names, missing, acceptUrls));
  installWithApt(names, missing);
  const absent = missing.filter((server) => !server.programs.some((program) => find(program)));
  if (absent.length > 0) throw new Stop(whatToType(absent.map(({ title }) => title).join(' and '), absent, acceptUrls));
}

/** @returns the path of a program, or undefined. */
function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...extraFolders].filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function canUseApt() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && findProgram('apt-get') !== undefined;
}

function installWithApt(names, missing) {
  const packages = missing.map(({ apt }) => apt);
  console.log(
    `${names} not found: installing ${packages.join(' ')} with apt-get, since this is root on Debian/Ubuntu ...`,
  );
  withoutServiceStart(() => {
    const install = ['install', '--yes', '--no-install-recommends', ...packages];
    if (aptGet(install).ok) return;
    console.log('Package lists are old or absent: apt-get update first ...');
    const update = aptGet(['update']);
    const again = aptGet(install);
    if (again.ok) return;
    throw new Stop(
      `apt-get could not install ${packages.join(' ')}. It said:\n${update.ok ? '' : update.output}${again.output}`,
    );
  });
}

/** Its pages of progress are of interest only when it fails. */
function aptGet(args) {
  const result = spawnSync('apt-get', ['--quiet', '--quiet', '--option', 'Dpkg::Use-Pty=0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_MODE: 'a' },
  });
  return { ok: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}

/** Debian starts a service when it installs one. Frontrow runs private instances, so policy-rc.d forbids it meanwhile. */
function withoutServiceStart(work) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n');
    chmodSync(policy, 0o755);
  }
  try {
    work();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

function whatToType(names, missing, acceptUrls) {
  const lines = [`${names} not found. Type this and run the same command again:`, ''];
  if (process.platform === 'darwin') lines.push(`  brew install ${missing.map(({ brew }) => brew).join(' ')}`);
  else if (findProgram('apt-get')) lines.push(`  sudo apt-get install -y ${missing.map(({ apt }) => apt).join(' ')}`);
  else lines.push(`  install ${missing.map(({ apt }) => apt).join(' and ')} with the package manager of this system`);
  if (acceptUrls) {
    lines.push('', 'Or take both from images and name them by URL (docker-compose.yml says how):', '');
    lines.push('  docker compose up -d --wait');
  }
  return lines.join('\n');
}
