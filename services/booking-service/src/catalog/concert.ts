import type { SaleState } from '@frontrow/shared/contracts/concert.ts';
import type { ConcertId } from '@frontrow/shared/ids.ts';
import type { SeatLayout } from './layout.ts';

/** A concert as booking-service knows it; immutable, replaced as a whole when the directory changes. */
export interface Concert {
  id: ConcertId;
  name: string;
  artist: string;
  city: string;
  venue: string;
  startsAtMs: number;
  opensAtMs: number;
  closesAtMs: number;
  saleOverride: 'none' | 'paused' | 'closed';
  holdTtlMs: number;
  seatsPerUserMax: number;
  updatedAtMs: number;
  layout: SeatLayout;
}

/** What the fan sees; Redis' clock has the last word when a hold is made. */
export function saleStateOf(concert: Concert, soldOut: boolean, nowMs: number): SaleState {
  if (concert.saleOverride === 'closed' || nowMs >= concert.closesAtMs) return 'closed';
  if (concert.saleOverride === 'paused') return 'paused';
  if (nowMs < concert.opensAtMs) return 'upcoming';
  return soldOut ? 'sold_out' : 'open';
}
