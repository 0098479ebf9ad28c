import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { commandOf } from './pids.ts';

/** A port that the stack wants, and the variable that changes it. */
export interface WantedPort {
  port: number;
  host: string;
  /** What would listen there. */
  purpose: string;
  variable: string;
}

/**
 * Looks at every port before anything starts: two uWebSockets.js listeners on one port both succeed, so a forgotten
 * stack would answer half of the requests.
 * @returns one sentence a port that is taken: which, by whom, and how to change it.
 */
export async function findTakenPorts(wanted: readonly WantedPort[]): Promise<string[]> {
  const faults = await Promise.all(wanted.map(async (want) => ((await isFree(want.port, want.host)) ? [] : [want])));
  return faults.flat().map(({ port, purpose, variable }) => {
    const owner = portOwner(port);
    const by = owner === undefined ? 'another process' : `process ${owner.pid} (${shortened(owner.command)})`;
    return `Port ${port}, for ${purpose}, is in use by ${by}. Stop it, or choose another port: ${variable}=${port + 100}`;
  });
}

function shortened(command: string): string {
  return command.length > 120 ? `${command.slice(0, 120)} ...` : command;
}

/** True when nobody listens on the port. */
export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

const firstTestPort = 15_000;
const portsPerProcess = 128;
const blocks = 128;
let nextOffset = 0;

/**
 * Free ports for a stack beside others. They lie below the range from which the system takes ports for outgoing
 * connections, and each process looks in a block of its own, so that two tests at once do not find the same ones.
 */
export async function findFreePorts(count: number): Promise<number[]> {
  const block = firstTestPort + (process.pid % blocks) * portsPerProcess;
  const found: number[] = [];
  for (let tried = 0; found.length < count && tried < blocks * portsPerProcess; tried++) {
    const port = firstTestPort + ((block - firstTestPort + nextOffset++) % (blocks * portsPerProcess));
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`${count} free ports cannot be found`);
  return found;
}

/** The process that listens on a port, as far as this user may see it. */
export function portOwner(port: number): { pid: number; command: string } | undefined {
  try {
    const pid = process.platform === 'linux' ? ownerOnLinux(port) : ownerByLsof(port);
    return pid === undefined ? undefined : { pid, command: commandOf(pid) ?? 'its command cannot be seen' };
  } catch {
    return undefined;
  }
}

function ownerOnLinux(port: number): number | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)));
  if (inodes.size === 0) return undefined;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const owner = pids.find((pid) => openSockets(pid).some((inode) => inodes.has(inode)));
  return owner === undefined ? undefined : Number(owner);
}

/** Lines look like `0: 0100007F:1F90 00000000:0000 0A ... <inode> ...`; state 0A is LISTEN. */
function listeningInodes(file: string, port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync(file, 'utf8').trim().split('\n').slice(1);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${hexPort}`) && fields[3] === '0A')
    .flatMap((fields) => fields[9] ?? []);
}

function openSockets(pid: string): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkTarget(`${folder}/${fd}`))?.[1] ?? []);
  } catch {
    return [];
  }
}

function linkTarget(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function ownerByLsof(port: number): number | undefined {
  const text = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fp'], { encoding: 'utf8' });
  const pid = /^p(\d+)$/m.exec(text)?.[1];
  return pid === undefined ? undefined : Number(pid);
}
