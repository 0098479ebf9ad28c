import type { ConcertId } from '@frontrow/shared/ids.ts';
import type { Logger } from '@frontrow/shared/log.ts';
import type { CatalogRepo } from './catalog.repo.ts';
import type { Concert } from './concert.ts';

const refreshEveryMs = 1_000;
/** Clocks of processes differ, and a transaction commits after it took its time: look back a little each time. */
const lookBackMs = 10_000;

/** All concerts in memory, kept up to date from the directory, so that a hold or a list asks no database. */
export class Catalog {
  readonly #repo: CatalogRepo;
  readonly #log: Logger;
  readonly #concerts = new Map<ConcertId, Concert>();
  readonly #onChange: (concert: Concert) => Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  #newestMs = 0;

  /** @param onChange hears every concert that is new or changed. */
  constructor(repo: CatalogRepo, log: Logger, onChange: (concert: Concert) => Promise<void> = async () => {}) {
    this.#repo = repo;
    this.#log = log;
    this.#onChange = onChange;
  }

  async start(): Promise<void> {
    await this.refresh();
    const tick = async () => {
      try {
        await this.refresh();
      } catch (error) {
        this.#log.warn(
          { reason: error instanceof Error ? error.message : String(error) },
          'the directory cannot be read',
        );
      }
      if (this.#timer !== null) this.#timer = setTimeout(tick, refreshEveryMs);
    };
    this.#timer = setTimeout(tick, refreshEveryMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  get(concertId: ConcertId): Concert | undefined {
    return this.#concerts.get(concertId);
  }

  all(): Iterable<Concert> {
    return this.#concerts.values();
  }

  async refresh(): Promise<void> {
    const changed = await this.#repo.concertsChangedSince(new Date(Math.max(0, this.#newestMs - lookBackMs)));
    for (const concert of changed) {
      this.#newestMs = Math.max(this.#newestMs, concert.updatedAtMs);
      if (this.#concerts.get(concert.id)?.updatedAtMs === concert.updatedAtMs) continue;
      this.#concerts.set(concert.id, concert);
      await this.#onChange(concert);
    }
  }
}
