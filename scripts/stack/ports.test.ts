import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { findFreePorts, findTakenPorts, isFree, portOwner } from './ports.ts';

const open: Server[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(port: number): Promise<void> {
  const server = createServer();
  open.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
}

test('a port that is taken is named with its owner and the variable that changes it', async () => {
  const [taken = 0, free = 0] = await findFreePorts(2);
  await listen(taken);
  const faults = await findTakenPorts([
    { port: taken, host: '127.0.0.1', purpose: 'the web origin', variable: 'ORIGIN_PORT' },
    { port: free, host: '127.0.0.1', purpose: 'user-service', variable: 'USER_PORT' },
  ]);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(`Port ${taken}, for the web origin, is in use by process ${process.pid} (`);
  expect(faults[0]).toMatch(/ORIGIN_PORT=\d+$/);
});

test('free ports are free, and no two are the same', async () => {
  const ports = await findFreePorts(40);
  expect(new Set(ports).size).toBe(40);
  expect(await Promise.all(ports.map((port) => isFree(port)))).not.toContain(false);
});

test('the search for free ports passes over those that are taken', async () => {
  const [first = 0] = await findFreePorts(1);
  await listen(first + 1);
  expect(await findFreePorts(3)).not.toContain(first + 1);
});

test('a port without a listener has no owner', async () => {
  const [port = 0] = await findFreePorts(1);
  expect(portOwner(port)).toBeUndefined();
});
