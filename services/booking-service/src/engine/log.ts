import { type Change, decodeChange } from '@frontrow/shared/contracts/change.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import { UnavailableError } from '@frontrow/shared/result.ts';
import type { Redis } from 'ioredis';
import { keysOf } from './keys.ts';

/** Reading a concert's log. */
export interface LogPlace {
  epoch: number;
  n: number;
}

export async function lastInLog(redis: Redis, concertId: ConcertId): Promise<LogPlace | null> {
  const [last] = await redis.xrevrange(keysOf(concertId).log, '+', '-', 'COUNT', 1);
  if (last === undefined) return null;
  return placeOf(last[0]);
}

/** @param id `<epoch>-<n>`, as Redis gives it. */
export function placeOf(id: string): LogPlace {
  const [epoch, n] = id.split('-').map(Number);
  return { epoch: epoch ?? 0, n: n ?? 0 };
}

/**
 * @param after an id `<epoch>-<n>`; from the beginning of what is kept when not given.
 * @returns null when the entry after `after` is no longer kept, which dense ids show.
 */
export async function readLog(
  redis: Redis,
  concertId: ConcertId,
  after: string | undefined,
  limit: number,
): Promise<Change[] | null> {
  let entries: Awaited<ReturnType<Redis['xrange']>>;
  try {
    entries = await redis.xrange(keysOf(concertId).log, after === undefined ? '-' : `(${after}`, '+', 'COUNT', limit);
  } catch (error) {
    throw new UnavailableError(`redis: ${error instanceof Error ? error.message : String(error)}`);
  }
  const changes = entries.flatMap(([id, fields]) => {
    const decoded = decodeChange(id, fields[1] ?? '');
    return decoded.ok ? [decoded.value] : [];
  });
  if (after === undefined) return changes;
  const { epoch, n } = placeOf(after);
  const first = changes[0];
  if (first === undefined) return (await isKept(redis, concertId, after)) ? [] : null;
  return first.epoch === epoch && first.n === n + 1 ? changes : null;
}

async function isKept(redis: Redis, concertId: ConcertId, id: string): Promise<boolean> {
  const last = await lastInLog(redis, concertId);
  return last !== null && `${last.epoch}-${last.n}` === id;
}
