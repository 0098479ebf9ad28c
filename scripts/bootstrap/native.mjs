/**
 * Is there a Node, and for that Node a native HTTP server?
 *
 * uWebSockets.js comes as compiled binaries, one per operating system, processor, Node ABI and (on Linux) C library.
 * A wrong one only shows when a service starts, or worse, falls back to a slow server without a word; so it is
 * looked at here, where a sentence can say what would work.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Stop } from './stop.mjs';

const oldestNode = [20, 19, 0];

/** In the order in which services/shared/src/http tries them; `glibc` is the oldest Linux C library each runs on. */
const nativeServers = [
  {
    package: '@trufflesuite/uws-js-unofficial',
    file: ({ platform, arch, abi }) => `binaries/uws_${platform}_${arch}_${abi}.node`,
    glibc: [2, 27],
    runsOn: 'Node 20 on macOS, Windows, or Linux with glibc 2.27 or newer (Debian 10, Ubuntu 18.04)',
  },
  {
    package: '@btc-vision/uwebsockets.js',
    file: ({ platform, arch, abi }) => `uws_${platform}_${arch}_${abi}.node`,
    glibc: [2, 38],
    runsOn: 'Node 20, 22, 24 or 25 on macOS, Windows, or Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04)',
  },
];

/** What this machine is, as the binaries' names and limits need it. `libc` is undefined outside Linux with glibc. */
function thisMachine() {
  return {
    platform: process.platform,
    arch: process.arch,
    abi: process.versions.modules,
    node: process.versions.node,
    libc: process.platform === 'linux' ? glibcVersion() : undefined,
  };
}

/** @throws Stop when Node is too old. */
export function checkNode(version = process.versions.node) {
  if (isAtLeast(parts(version), oldestNode)) return;
  throw new Stop(
    `Frontrow needs Node ${oldestNode.join('.')} or newer; this is ${version}.\n` +
      'Node 20 works everywhere: `nvm install` reads .nvmrc, or take it from https://nodejs.org.',
  );
}

/**
 * @typedef {{ platform: string, arch: string, abi: string, node: string, libc: string | undefined }} Machine
 *
 * @param {string} root the project's folder
 * @param {Machine} machine
 * @throws Stop when no installed package has a binary that can load here.
 */
export function checkNativeServer(root, machine = thisMachine(), exists = existsSync) {
  const verdicts = nativeServers.map((server) => ({ server, fault: faultOf(server, root, machine, exists) }));
  if (verdicts.some(({ fault }) => fault === undefined)) return;
  const libc = machine.platform === 'linux' ? `, ${machine.libc ? `glibc ${machine.libc}` : 'no glibc (musl?)'}` : '';
  throw new Stop(
    'The HTTP server uWebSockets.js has no binary for this machine: ' +
      `Node ${machine.node} (ABI ${machine.abi}), ${machine.platform}-${machine.arch}${libc}.\n` +
      `${verdicts.map(({ server, fault }) => `  tried ${server.package}: ${fault}`).join('\n')}\n` +
      `What would work:\n${nativeServers.map(({ runsOn }) => `  ${runsOn}`).join('\n')}`,
  );
}

function faultOf(server, root, machine, exists) {
  const folder = join(root, 'node_modules', server.package);
  if (!exists(folder)) return 'not installed (npm ci --include=optional)';
  if (!exists(join(folder, server.file(machine)))) return `it has no ${server.file(machine)}`;
  if (machine.platform !== 'linux') return undefined;
  if (machine.libc === undefined) return `it needs glibc ${server.glibc.join('.')} or newer`;
  if (!isAtLeast(parts(machine.libc), server.glibc)) return `it needs glibc ${server.glibc.join('.')} or newer`;
  return undefined;
}

function glibcVersion() {
  // The report otherwise resolves every open socket's host name, which can take seconds.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime;
}

function parts(version) {
  return version.split('.').map((part) => Number.parseInt(part, 10));
}

function isAtLeast(version, minimum) {
  for (const [index, least] of minimum.entries()) {
    const part = version[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
