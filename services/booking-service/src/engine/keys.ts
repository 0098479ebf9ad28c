import type { ConcertId } from '@frontrow/shared/ids.ts';

/** The keys of one concert. They share the hash tag, so a concert lives on one slot of a cluster. */
export interface ConcertKeys {
  /** In the order of `KEYS` in lua/common.lua. */
  all: [seats: string, fans: string, expiry: string, log: string, meta: string, live: string];
  log: string;
  live: string;
}

const known = new Map<ConcertId, ConcertKeys>();

export function keysOf(concertId: ConcertId): ConcertKeys {
  let keys = known.get(concertId);
  if (keys === undefined) {
    const key = (what: string) => `{${concertId}}:${what}`;
    keys = {
      all: [key('seats'), key('fans'), key('expiry'), key('log'), key('meta'), key('live')],
      log: key('log'),
      live: key('live'),
    };
    known.set(concertId, keys);
  }
  return keys;
}

export const concertOfLiveChannel = (channel: string): ConcertId => Number(channel.slice(1, channel.indexOf('}')));

/** A line on the live channel that is no change: `durable|<epoch>-<n>` says up to where the database has the concert. */
export const durableLine = 'durable';
