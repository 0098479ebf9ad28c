import type { Phase } from '@frontrow/shared/contracts/hold.ts';

/**
 * The life of a hold as data: no other move is possible. The Lua scripts are tested against the model (model.ts), and the
 * model moves only along this table. `none` is a hold that Redis does not know.
 *
 * `cancel` leads to `lost`, not back to `ended`: a `settle` that was delayed on its way must find that the money has gone
 * back, and must not take the seats again.
 */
export type HoldEvent =
  | 'hold'
  | 'begin'
  | 'release_pay'
  | 'release'
  | 'sweep'
  | 'settle_sold'
  | 'settle_lost'
  | 'cancel';
interface HoldMove {
  from: Phase | 'none';
  event: HoldEvent;
  to: Phase;
}

export const holdMoves: readonly HoldMove[] = [
  { from: 'none', event: 'hold', to: 'held' },
  { from: 'held', event: 'begin', to: 'paying' },
  // A newer attempt of the same payment, after a decline whose release has not arrived yet.
  { from: 'paying', event: 'begin', to: 'paying' },
  { from: 'paying', event: 'release_pay', to: 'held' },
  { from: 'held', event: 'release', to: 'ended' },
  { from: 'held', event: 'sweep', to: 'ended' },
  { from: 'paying', event: 'sweep', to: 'ended' },
  { from: 'held', event: 'settle_sold', to: 'sold' },
  { from: 'paying', event: 'settle_sold', to: 'sold' },
  { from: 'ended', event: 'settle_sold', to: 'sold' },
  { from: 'none', event: 'settle_sold', to: 'sold' },
  { from: 'ended', event: 'settle_lost', to: 'lost' },
  { from: 'none', event: 'settle_lost', to: 'lost' },
  { from: 'sold', event: 'cancel', to: 'lost' },
  { from: 'held', event: 'cancel', to: 'lost' },
  { from: 'paying', event: 'cancel', to: 'lost' },
  { from: 'ended', event: 'cancel', to: 'lost' },
  { from: 'none', event: 'cancel', to: 'lost' },
];

/** @returns the phase after the event, or null when the table has no such move. */
export function moveHold(from: Phase | 'none', event: HoldEvent): Phase | null {
  return holdMoves.find((move) => move.from === from && move.event === event)?.to ?? null;
}
