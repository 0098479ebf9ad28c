import { phaseSchema } from '@frontrow/shared/contracts/hold.ts';
import { describe, expect, it } from 'vitest';
import { type HoldEvent, holdMoves, moveHold } from './hold-state.ts';

const froms = ['none', ...phaseSchema.options] as const;
const events = [...new Set(holdMoves.map(({ event }) => event))];

describe('the table of moves', () => {
  it('has each move once, and moveHold makes no other', () => {
    const keys = holdMoves.map(({ from, event }) => `${from} ${event}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const from of froms) {
      for (const event of events) {
        const row = holdMoves.find((move) => move.from === from && move.event === event);
        expect(moveHold(from, event), `${from} ${event}`).toBe(row?.to ?? null);
      }
    }
  });

  it.each<[string, HoldEvent[]]>([
    ['lost', []],
    ['sold', ['cancel']],
  ])('%s is left only by %j', (from, allowed) => {
    expect(holdMoves.filter((move) => move.from === from).map(({ event }) => event)).toEqual(allowed);
  });

  it('sells only what was captured, and gives a lost booking nothing back', () => {
    expect(holdMoves.filter(({ to }) => to === 'sold').every(({ event }) => event === 'settle_sold')).toBe(true);
    expect(holdMoves.some(({ from }) => from === 'lost')).toBe(false);
  });
});
