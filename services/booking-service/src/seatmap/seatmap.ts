import { type Change, type SeatState, seatStates, versionOf } from '@frontrow/shared/contracts/change.ts';
import type { ConcertId, UserId } from '@frontrow/shared/ids.ts';

const [freeByte, heldByte, soldByte] = [seatStates.free, seatStates.held, seatStates.sold].map((state) =>
  state.charCodeAt(0),
);

/** What a follower hands over when it (re)starts. */
export interface Snapshot {
  /** One character a seat, as in `{id}:seats`. */
  seats: string;
  epoch: number;
  n: number;
}

export interface Encoded {
  etag: string;
  json: string;
  binary: () => Buffer;
}

/**
 * The seat map of one concert in memory: what reads are answered from. It is moved only by the concert's log, one change
 * after the other; `apply` says so when a change does not follow the last one.
 */
export class SeatMap {
  readonly concertId: ConcertId;
  readonly layoutVersion: number;
  epoch = 0;
  n = -1;
  #states: Buffer;
  /** Who took a seat, as far as the log told it since the snapshot; the seats of the snapshot have no known owner. */
  #owners: (UserId | null)[];
  #counts = { free: 0, held: 0, sold: 0 };
  #encoded: Encoded | null = null;
  #deltaFrom = 0;
  #deltaSeats = new Set<number>();
  /** True after a reset, until the watchers were told. */
  #restarted = false;

  constructor(concertId: ConcertId, layoutVersion: number, seatCount: number) {
    this.concertId = concertId;
    this.layoutVersion = layoutVersion;
    this.#states = Buffer.alloc(seatCount, seatStates.blocked);
    this.#owners = new Array<UserId | null>(seatCount).fill(null);
  }

  get version(): number {
    return versionOf(this.epoch, Math.max(this.n, 0));
  }
  get ready(): boolean {
    return this.n >= 0;
  }
  get freeCount(): number {
    return this.#counts.free;
  }
  /** Nothing is free and nothing can come back. */
  get soldOut(): boolean {
    return this.ready && this.#counts.free === 0 && this.#counts.held === 0;
  }
  get seatCount(): number {
    return this.#states.length;
  }

  isFree(seat: number): boolean {
    return this.#states[seat] === freeByte;
  }

  /** Seats among these that somebody else surely has. A seat whose owner is not known may be the asker's own: it is left out. */
  takenByOthers(seats: readonly number[], asker: UserId): number[] {
    return seats.filter((seat) => {
      const owner = this.#owners[seat];
      return !this.isFree(seat) && typeof owner === 'string' && owner !== asker;
    });
  }

  /** Free seats in each section, by the section's position. */
  freeBySection(sectionByIndex: Uint16Array, sectionCount: number): number[] {
    const free = new Array<number>(sectionCount).fill(0);
    for (let seat = 0; seat < this.#states.length; seat += 1) {
      const section = sectionByIndex[seat] ?? 0;
      if (this.#states[seat] === freeByte) free[section] = (free[section] ?? 0) + 1;
    }
    return free;
  }

  /** Starts anew from the state of Redis. The next frame, which may be empty, shows watchers a gap: they read the map again. */
  reset(snapshot: Snapshot): void {
    this.#states = Buffer.from(snapshot.seats, 'latin1');
    this.#owners = new Array<UserId | null>(this.#states.length).fill(null);
    this.epoch = snapshot.epoch;
    this.n = snapshot.n;
    this.#counts = { free: 0, held: 0, sold: 0 };
    for (const state of this.#states) this.#count(state, 1);
    this.#encoded = null;
    this.#deltaFrom = this.version;
    this.#deltaSeats.clear();
    this.#restarted = true;
  }

  /** @returns `old` for a change that is in already, `gap` when one is missing before it or another epoch began. */
  apply(change: Change): 'applied' | 'old' | 'gap' {
    if (versionOf(change.epoch, change.n) <= this.version) return 'old';
    if (change.epoch !== this.epoch || change.n !== this.n + 1) return 'gap';
    this.n = change.n;
    this.#encoded = null;
    const { booking, seatState } = change;
    if (booking !== null && seatState !== '-') {
      for (const seat of booking.seats)
        this.#set(seat, seatState, seatState === seatStates.free ? null : booking.userId);
    }
    return 'applied';
  }

  /** The map as it is sent, encoded once per change however often it is read. @param remember false encodes at every call. */
  encoded(remember = true): Encoded {
    if (this.#encoded !== null && remember) return this.#encoded;
    let binary: Buffer | null = null;
    this.#encoded = {
      etag: `"${this.layoutVersion}-${this.epoch}-${this.n}"`,
      json: `{"concertId":${this.concertId},"layoutVersion":${this.layoutVersion},"version":${this.version},"states":"${this.#states.toString('latin1')}"}`,
      binary: () => {
        binary ??= encodeBinary(this);
        return binary;
      },
    };
    return this.#encoded;
  }

  /**
   * Everything that changed since the last call, in one frame; null when nothing did. It carries the last state of each
   * seat, so it leads from any version within it to its end.
   * Little endian: u32 concert, u32 seats in the frame, f64 from version, f64 to version, then u32 a seat: index * 4 + state.
   */
  takeDelta(): Buffer | null {
    if (this.version === this.#deltaFrom && !this.#restarted) return null;
    const frame = Buffer.allocUnsafe(24 + this.#deltaSeats.size * 4);
    frame.writeUInt32LE(this.concertId, 0);
    frame.writeUInt32LE(this.#deltaSeats.size, 4);
    frame.writeDoubleLE(this.#deltaFrom, 8);
    frame.writeDoubleLE(this.version, 16);
    let offset = 24;
    for (const seat of this.#deltaSeats) offset = frame.writeUInt32LE(seat * 4 + this.stateOf(seat), offset);
    this.#deltaFrom = this.version;
    this.#deltaSeats.clear();
    this.#restarted = false;
    return frame;
  }

  /** 0 free, 1 held, 2 sold, 3 blocked. */
  stateOf(seat: number): number {
    return (this.#states[seat] ?? 0x33) - 0x30;
  }

  #set(seat: number, state: SeatState, owner: UserId | null): void {
    const byte = state.charCodeAt(0);
    this.#owners[seat] = owner;
    const before = this.#states[seat];
    if (before === undefined || before === byte) return;
    this.#count(before, -1);
    this.#count(byte, 1);
    this.#states[seat] = byte;
    this.#deltaSeats.add(seat);
  }

  #count(byte: number, by: 1 | -1): void {
    if (byte === freeByte) this.#counts.free += by;
    else if (byte === heldByte) this.#counts.held += by;
    else if (byte === soldByte) this.#counts.sold += by;
  }
}

/** Little endian: u32 concert, u32 layout version, f64 version, u32 seat count, then two bits a seat, four seats a byte, lowest bits first. */
function encodeBinary(map: SeatMap): Buffer {
  const frame = Buffer.alloc(20 + Math.ceil(map.seatCount / 4));
  frame.writeUInt32LE(map.concertId, 0);
  frame.writeUInt32LE(map.layoutVersion, 4);
  frame.writeDoubleLE(map.version, 8);
  frame.writeUInt32LE(map.seatCount, 16);
  for (let seat = 0; seat < map.seatCount; seat += 1) {
    const at = 20 + (seat >> 2);
    frame[at] = (frame[at] ?? 0) | (map.stateOf(seat) << ((seat & 3) * 2));
  }
  return frame;
}
