import { type LedgerItem, ledgerReply } from '@frontrow/shared/contracts/provider.ts';
import { Redis } from 'ioredis';
import type { ClientEvent } from '../client-event.ts';
import { allConcerts, loadMysql, loadProgress, openShardReaders, type ShardReader } from './mysql-state.ts';
import { lastLogId, loadRedis } from './redis-state.ts';
import { compareLogIds, logIdText, type World } from './world.ts';

/** Where the audit reads. */
export interface AuditSources {
  redisUrl: string;
  /** Administrative URLs. */
  shardUrls: readonly string[];
  sandboxUrl: string;
  sandboxApiKey: string;
}

/** Connections of one audit. */
export interface Witnesses {
  redis: Redis;
  shards: ShardReader[];
  ledger: (concertId: number) => Promise<LedgerItem[]>;
  close(): Promise<void>;
}

export async function openWitnesses(sources: AuditSources): Promise<Witnesses> {
  const redis = new Redis(sources.redisUrl, { lazyConnect: true, connectTimeout: 3_000 });
  redis.on('error', () => undefined);
  let shards: ShardReader[] = [];
  const close = async () => {
    redis.disconnect();
    await Promise.all(shards.map(({ connection }) => connection.end()));
  };
  try {
    await redis.connect();
    shards = await openShardReaders(sources.shardUrls);
  } catch (error) {
    await close();
    throw error;
  }
  return { redis, shards, ledger: (concertId) => readLedger(sources, concertId), close };
}

export const concertsOf = ({ shards }: Witnesses): Promise<number[]> => allConcerts(shards);

const triesMax = 5;

/**
 * Everything that is said about a concert. The witnesses are read one after another, so the log's last id is read before
 * and after: when it moved, the picture is of two moments and is taken again.
 */
export async function loadWorld(
  { redis, shards, ledger }: Witnesses,
  concertId: number,
  clients: ClientEvent[] | undefined,
): Promise<{ world: World; isStill: boolean }> {
  for (let tries = 1; ; tries += 1) {
    const state = await loadRedis(redis, concertId);
    const { booking, payment } = await loadMysql(shards, concertId);
    const world: World = {
      concertId,
      redis: state,
      mysql: booking,
      money: payment,
      ledger: await ledger(concertId),
      clients,
    };
    const last = await lastLogId(redis, concertId);
    const isStill =
      last === state.lastId || (last !== null && state.lastId !== null && compareLogIds(last, state.lastId) === 0);
    if (isStill || tries >= triesMax) return { world, isStill };
  }
}

interface Activity {
  /** Why the concert is not quiet; empty when it is. */
  reasons: string[];
  liveHolds: number;
}

/** What is still under way: changes that MySQL does not have yet, payments without an end. */
async function readActivity({ redis, shards }: Witnesses, concertId: number): Promise<Activity> {
  const last = await lastLogId(redis, concertId);
  const { cursor, openPayments } = await loadProgress(shards, concertId);
  const reasons: string[] = [];
  if (last && (cursor === null || compareLogIds(cursor, last) !== 0)) {
    reasons.push(`MySQL has the log up to ${cursor ? logIdText(cursor) : 'nothing'}, it goes to ${logIdText(last)}`);
  }
  if (openPayments > 0) reasons.push(`${openPayments} payments have not come to an end`);
  const states = (await redis.get(`{${concertId}}:seats`)) ?? '';
  return { reasons, liveHolds: [...states].filter((state) => state === '1').length };
}

/**
 * Waits until nothing is under way.
 * @param options.holds true waits for held seats too: until they are paid or their time is over
 * @returns why it is still not quiet after that time; empty when it is.
 */
export async function waitForQuiet(
  witnesses: Witnesses,
  concertId: number,
  options: { waitMs: number; holds?: boolean; onWait?: (reasons: string[]) => void },
): Promise<string[]> {
  const deadline = Date.now() + options.waitMs;
  for (let quietReads = 0; ; ) {
    const { reasons, liveHolds } = await readActivity(witnesses, concertId);
    if (options.holds && liveHolds > 0) reasons.push(`${liveHolds} seats are held`);
    // Twice in a row: a payment may stand between two steps, each of which looks quiet.
    quietReads = reasons.length === 0 ? quietReads + 1 : 0;
    if (quietReads >= 2 || Date.now() >= deadline) return reasons;
    if (reasons.length > 0) options.onWait?.(reasons);
    await new Promise((resolve) => setTimeout(resolve, quietReads > 0 ? 100 : 250));
  }
}

async function readLedger({ sandboxUrl, sandboxApiKey }: AuditSources, concertId: number): Promise<LedgerItem[]> {
  const items: LedgerItem[] = [];
  for (let cursor: string | null = null; ; ) {
    const query = new URLSearchParams({
      concertId: String(concertId),
      limit: '1000',
      ...(cursor === null ? {} : { cursor }),
    });
    const response = await fetch(`${sandboxUrl}/v1/ledger?${query}`, {
      headers: { authorization: `Bearer ${sandboxApiKey}` },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`the provider's ledger answered ${response.status}: ${await response.text()}`);
    const page = ledgerReply.parse(await response.json());
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === null) return items;
  }
}
