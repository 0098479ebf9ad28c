import { createHmac, randomBytes, randomFillSync } from 'node:crypto';

/**
 * Ids. A hold (= booking) id is a UUIDv8 whose first 32 bits are the concert's number, so an id finds its shard and its
 * Redis slot without a look-up; the rest is HMAC(user, Idempotency-Key), or random when no key was given.
 * Layout: RFC 9562, section 5.8.
 */
export type ConcertId = number;
export type HoldId = string;
export type UserId = string;

export const concertIdMax = 0x7fffffff;
export const bucketCount = 256;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const uuidV8Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export const isUuid = (text: string): boolean => uuidPattern.test(text);

/** A UUIDv8 of ours: version and variant are right and it names a possible concert. */
export function isConcertScopedId(text: string): boolean {
  if (!uuidV8Pattern.test(text)) return false;
  const concertId = Number.parseInt(text.slice(0, 8), 16);
  return concertId >= 1 && concertId <= concertIdMax;
}

/** @param id a UUIDv8 made by this module. */
export const concertIdOf = (id: string): ConcertId => Number.parseInt(id.slice(0, 8), 16);

/** @param secret shared by all processes that make ids of this kind. */
export function keyedHoldId(secret: string, concertId: ConcertId, userId: UserId, idempotencyKey: string): HoldId {
  const digest = createHmac('sha256', secret).update(`hold\0${concertId}\0${userId}\0${idempotencyKey}`).digest();
  return uuidV8(concertId, digest);
}

export function randomHoldId(concertId: ConcertId): HoldId {
  return uuidV8(concertId, pooledRandom());
}

/** One payment per booking: its id is made from the booking's. */
export function paymentIdOf(secret: string, bookingId: HoldId): string {
  return uuidV8(concertIdOf(bookingId), createHmac('sha256', secret).update(`payment\0${bookingId}`).digest());
}

/** Time-ordered ids of users (RFC 9562, section 5.7). */
export function newUserId(nowMs = Date.now()): UserId {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return formatUuid(bytes);
}

/** The logical bucket of a concert, 0..255; configuration maps buckets to shards. */
export const bucketOfConcert = (concertId: ConcertId): number => mix32(concertId) & (bucketCount - 1);

/** The bucket of a user's own rows (`user_bookings`), from the random tail of the id. */
export const bucketOfUser = (userId: UserId): number =>
  mix32(Number.parseInt(userId.slice(28), 16)) & (bucketCount - 1);

export const uuidToBytes = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex');

export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function uuidV8(concertId: ConcertId, entropy: Buffer): string {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeUInt32BE(concertId, 0);
  entropy.copy(bytes, 4, 0, 12);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return formatUuid(bytes);
}

const pool = Buffer.allocUnsafe(12 * 512);
let poolOffset = pool.length;

/** A system call for every id would cost more than the id: fetch 512 at a time. */
function pooledRandom(): Buffer {
  if (poolOffset >= pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += 12;
  return pool.subarray(poolOffset - 12, poolOffset);
}

/** The finalizer of MurmurHash3 (Appleby): every input bit reaches every output bit. */
function mix32(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
