import { type Change, decodeChange } from '@frontrow/shared/contracts/change.ts';
import { type Phase, phaseSchema } from '@frontrow/shared/contracts/hold.ts';
import type { Redis } from 'ioredis';
import { Unpackr } from 'msgpackr';
import { z } from 'zod';
import type { BookingRecord, LogEntry, LogId, RedisState } from './world.ts';

/**
 * Reads what booking-service keeps of a concert in Redis. Key names and record layout are those that
 * services/booking-service/src/engine/lua/common.lua documents; nothing of that service is imported.
 */
export async function loadRedis(redis: Redis, concertId: number): Promise<RedisState> {
  const key = (what: string) => `{${concertId}}:${what}`;
  const [states, fans, meta] = await Promise.all([
    redis.get(key('seats')),
    redis.hgetallBuffer(key('fans')),
    redis.hmget(key('meta'), 'epoch', 'seats_per_user_max'),
  ]);
  return {
    states,
    records: Object.entries(fans).flatMap(([userId, packed]) => unpackRecords(userId, packed)),
    log: await readLog(redis, key('log')),
    lastId: await lastLogId(redis, concertId),
    epoch: numberOrNull(meta[0]),
    seatsPerUserMax: numberOrNull(meta[1]),
  };
}

/** The last id that the log gave out; null when there is no log. */
export async function lastLogId(redis: Redis, concertId: number): Promise<LogId | null> {
  const key = `{${concertId}}:log`;
  if ((await redis.exists(key)) === 0) return null;
  const info = z.array(z.unknown()).parse(await redis.xinfo('STREAM', key));
  const id = z.string().parse(info[info.indexOf('last-generated-id') + 1]);
  const [epoch, n] = id.split('-').map(Number);
  return { epoch: epoch ?? Number.NaN, n: n ?? Number.NaN };
}

const pageEntries = 2_000;

async function readLog(redis: Redis, key: string): Promise<LogEntry[]> {
  const log: LogEntry[] = [];
  for (let from = '-'; ; ) {
    const page = await redis.xrange(key, from, '+', 'COUNT', pageEntries);
    log.push(...page.map(([id, fields]) => decodeEntry(id, fields)));
    const last = page.at(-1);
    if (last === undefined || page.length < pageEntries) return log;
    from = `(${last[0]}`;
  }
}

function decodeEntry(id: string, fields: string[]): LogEntry {
  const text = fields[fields.indexOf('c') + 1];
  if (!fields.includes('c') || text === undefined) return { id, fault: 'it has no field c' };
  const decoded: { ok: true; value: Change } | { ok: false; failure: string } = decodeChange(id, text);
  return decoded.ok ? { id, change: decoded.value } : { id, fault: decoded.failure };
}

const whole = z.number().int();
/** id, phase, seats, seat count, total, expires, held until, attempt, keyed, created, keep until. */
const packedRecord = z.tuple([z.string(), whole, z.string(), whole, whole, whole, whole, whole, whole, whole, whole]);
const phases: readonly Phase[] = phaseSchema.options;
const unpackr = new Unpackr({ int64AsType: 'number' });

/** @throws Error when the record has another layout: an audit that cannot read must not pass. */
function unpackRecords(userId: string, packed: Buffer): BookingRecord[] {
  const records = z.array(packedRecord).parse(unpackr.unpack(packed));
  return records.map(([id, phaseNumber, seats, , totalMinor, expiresAtMs, heldUntilMs, attempt]) => {
    const phase = phases[phaseNumber - 1];
    if (phase === undefined) throw new Error(`hold ${id} has phase ${phaseNumber}, which is none`);
    return { id, userId, phase, seats: seats.split(',').map(Number), totalMinor, expiresAtMs, heldUntilMs, attempt };
  });
}

const numberOrNull = (text: string | null | undefined): number | null => (text == null ? null : Number(text));
