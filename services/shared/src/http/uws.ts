import { createRequire } from 'node:module';
import type { TemplatedApp } from '@btc-vision/uwebsockets.js';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from '@btc-vision/uwebsockets.js';

/** The part of uWebSockets.js that the project uses. */
export interface UwsModule {
  App(): TemplatedApp;
  us_listen_socket_close(socket: unknown): void;
  LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

const require = createRequire(import.meta.url);

/**
 * uWebSockets.js is a native module without a registry home: two packages carry its binaries, each for some of the
 * Node versions and C libraries. The first that loads natively is taken.
 * @throws with what was tried and what would work.
 */
export function loadUws(): UwsModule {
  const tried: string[] = [];
  for (const name of ['@btc-vision/uwebsockets.js', '@trufflesuite/uws-js-unofficial']) {
    try {
      const candidate: UwsModule = require(name);
      // The second one replaces itself by a slow JavaScript server when its binary does not load; that one has no such constant.
      if (typeof candidate.App === 'function' && typeof candidate.LIBUS_LISTEN_EXCLUSIVE_PORT === 'number')
        return candidate;
      tried.push(`${name}: only its JavaScript fallback loaded`);
    } catch (error) {
      tried.push(
        `${name}: ${error instanceof Error ? (error.message.split('\n').find((line) => line.includes('Error')) ?? error.message.split('\n')[0]) : String(error)}`,
      );
    }
  }
  throw new Error(
    `No uWebSockets.js binary loads on Node ${process.version}, ${process.platform}-${process.arch}.\n  ${tried.join('\n  ')}\n` +
      'Node 20 on Linux with glibc 2.27 or newer works; so do Node 20, 22 and 24 on macOS, Windows, and Linux with glibc 2.38 or newer.',
  );
}
