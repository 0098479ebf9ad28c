import { type Venue, validateVenue } from '@frontrow/shared/contracts/venue.ts';
import { bucketOfConcert, type ConcertId } from '@frontrow/shared/ids.ts';
import { type Database, isDuplicate, type Shards, type Sql, statement } from '@frontrow/shared/mysql/pool.ts';
import type { Concert } from './concert.ts';
import { expandLayout, type SeatLayout } from './layout.ts';

const insertVenue = statement(
  'catalog.insertVenue',
  'INSERT INTO venues (id, layout_version, name, city, seat_count, layout) VALUES (?, ?, ?, ?, ?, ?)',
);
const findVenue = statement('catalog.findVenue', 'SELECT layout FROM venues WHERE id = ? AND layout_version = ?');
const latestVenue = statement(
  'catalog.latestVenue',
  'SELECT layout FROM venues WHERE id = ? ORDER BY layout_version DESC LIMIT 1',
);
const concertColumns =
  'id, name, artist, city, venue, venue_id, layout_version, starts_at, opens_at, closes_at, sale_override, hold_ttl_ms, seats_per_user_max, updated_at';
const changedConcerts = statement(
  'catalog.changedConcerts',
  `SELECT ${concertColumns} FROM concerts WHERE updated_at >= ? ORDER BY updated_at, id`,
);
const insertConcert = statement(
  'catalog.insertConcert',
  `INSERT INTO concerts (id, bucket, name, artist, city, venue, venue_id, layout_version, starts_at, opens_at, closes_at,
     sale_override, hold_ttl_ms, seats_per_user_max, total_tickets, price_from_minor, currency, updated_at)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
const updateSale = statement(
  'catalog.updateSale',
  'UPDATE concerts SET hold_ttl_ms = ?, seats_per_user_max = ?, opens_at = ?, closes_at = ?, updated_at = ? WHERE id = ?',
);
const insertShardConcert = statement(
  'catalog.insertShardConcert',
  `INSERT INTO concerts (concert_id, total_tickets, available_tickets, price_from_minor, currency, layout_version) VALUES (?, ?, ?, ?, ?, ?)`,
);
const insertTickets = statement(
  'catalog.insertTickets',
  'INSERT INTO tickets (concert_id, seat_index, seat_number, status, price_minor) VALUES ?',
);
const insertCursor = statement(
  'catalog.insertCursor',
  'INSERT INTO log_cursor (concert_id, epoch, last_epoch, last_n) VALUES (?, 0, 0, -1)',
);

interface ConcertRow {
  id: number;
  name: string;
  artist: string;
  city: string;
  venue: string;
  venue_id: string;
  layout_version: number;
  starts_at: Date;
  opens_at: Date;
  closes_at: Date;
  sale_override: Concert['saleOverride'];
  hold_ttl_ms: number;
  seats_per_user_max: number;
  updated_at: Date;
}

export interface NewConcert {
  id: ConcertId;
  name: string;
  artist: string;
  startsAt: Date;
  opensAt: Date;
  closesAt: Date;
  saleOverride: Concert['saleOverride'];
  holdTtlMs: number;
  seatsPerUserMax: number;
}

const ticketsInOneInsert = 2_000;

/** The directory of concerts and venues, and a new concert's rows on its shard. */
export class CatalogRepo {
  readonly #directory: Database;
  readonly #shards: Shards;
  readonly #layouts = new Map<string, SeatLayout>();

  constructor(directory: Database, shards: Shards) {
    this.#directory = directory;
    this.#shards = shards;
  }

  /** @returns `changed` when this version is stored with another layout: a layout that is on sale never changes. */
  async saveVenue(venue: Venue): Promise<{ status: 'saved' | 'changed'; layout: SeatLayout }> {
    const layout = expandLayout(venue);
    const text = JSON.stringify(venue);
    try {
      await this.#directory.run(insertVenue, [
        venue.id,
        venue.layoutVersion,
        venue.name,
        venue.city,
        layout.seatCount,
        text,
      ]);
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      const [row] = await this.#directory.rows<{ layout: string }>(findVenue, [venue.id, venue.layoutVersion]);
      if (row?.layout !== text) return { status: 'changed', layout };
    }
    return { status: 'saved', layout };
  }

  async findVenue(venueId: string): Promise<Venue | null> {
    const [row] = await this.#directory.rows<{ layout: string }>(latestVenue, [venueId]);
    return row ? readVenue(row.layout) : null;
  }

  /** @returns concerts that changed at or after this time, oldest change first. */
  async concertsChangedSince(since: Date): Promise<Concert[]> {
    const rows = await this.#directory.rows<ConcertRow>(changedConcerts, [since]);
    const concerts: Concert[] = [];
    for (const row of rows) concerts.push(concertOf(row, await this.#layout(row.venue_id, row.layout_version)));
    return concerts;
  }

  /**
   * Shard first, then the directory: a concert that can be found is whole. A repeat after a crash finds its rows and goes on.
   */
  async createConcert(concert: NewConcert, venue: Venue): Promise<SeatLayout> {
    const layout = expandLayout(venue);
    const { seatCount, priceFromMinor } = layout;
    const shard = this.#shards.ofBucket(bucketOfConcert(concert.id));
    await ignoreDuplicate(shard.transaction((sql) => this.#insertShardRows(sql, concert.id, layout)));
    await ignoreDuplicate(
      this.#directory.run(insertConcert, [
        concert.id,
        bucketOfConcert(concert.id),
        concert.name,
        concert.artist,
        venue.city,
        venue.name,
        venue.id,
        venue.layoutVersion,
        concert.startsAt,
        concert.opensAt,
        concert.closesAt,
        concert.saleOverride,
        concert.holdTtlMs,
        concert.seatsPerUserMax,
        seatCount,
        priceFromMinor,
        layout.currency,
        new Date(),
      ]),
    );
    return layout;
  }

  async #insertShardRows(sql: Sql, concertId: ConcertId, layout: SeatLayout): Promise<void> {
    const blocked = new Set(layout.blockedIndexes);
    const { seatCount, currency, priceFromMinor, layoutVersion } = layout;
    await sql.run(insertShardConcert, [
      concertId,
      seatCount,
      seatCount - blocked.size,
      priceFromMinor,
      currency,
      layoutVersion,
    ]);
    await sql.run(insertCursor, [concertId]);
    for (let from = 0; from < seatCount; from += ticketsInOneInsert) {
      const rows = layout.labels
        .slice(from, from + ticketsInOneInsert)
        .map((label, i) => [
          concertId,
          from + i,
          label,
          blocked.has(from + i) ? 'blocked' : 'available',
          layout.priceMinorByIndex[from + i] ?? 0,
        ]);
      await sql.run(insertTickets, [rows]);
    }
  }

  async changeSale(concert: Concert): Promise<void> {
    await this.#directory.run(updateSale, [
      concert.holdTtlMs,
      concert.seatsPerUserMax,
      new Date(concert.opensAtMs),
      new Date(concert.closesAtMs),
      new Date(),
      concert.id,
    ]);
  }

  async #layout(venueId: string, layoutVersion: number): Promise<SeatLayout> {
    const key = `${venueId}\0${layoutVersion}`;
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      const [row] = await this.#directory.rows<{ layout: string }>(findVenue, [venueId, layoutVersion]);
      if (row === undefined) throw new Error(`Version ${layoutVersion} of the venue ${venueId} is not stored.`);
      layout = expandLayout(readVenue(row.layout));
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

/** What is there already was written by an earlier try of the same creation. */
async function ignoreDuplicate(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
}

function readVenue(text: string): Venue {
  const venue = validateVenue(JSON.parse(text));
  if (!venue.ok) throw new Error(`A stored venue is not valid: ${venue.failure.join('; ')}`);
  return venue.value;
}

const concertOf = (row: ConcertRow, layout: SeatLayout): Concert => ({
  id: row.id,
  name: row.name,
  artist: row.artist,
  city: row.city,
  venue: row.venue,
  startsAtMs: row.starts_at.getTime(),
  opensAtMs: row.opens_at.getTime(),
  closesAtMs: row.closes_at.getTime(),
  saleOverride: row.sale_override,
  holdTtlMs: row.hold_ttl_ms,
  seatsPerUserMax: row.seats_per_user_max,
  updatedAtMs: row.updated_at.getTime(),
  layout,
});
