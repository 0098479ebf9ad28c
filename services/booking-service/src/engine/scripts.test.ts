import { describe, expect, it } from 'vitest';
import { type Guard, guards, type ScriptName, scriptNames, scriptSource, scriptStatuses } from './scripts.ts';

/** The statuses that a Lua source really answers: the first string of every reply table. */
function statusesIn(source: string): Set<string> {
  return new Set(
    [...source.matchAll(/(?:return|reply =|answer =)\s*\{\s*'([a-z_]+)'/g)].map((match) => match[1] ?? ''),
  );
}

describe('the Lua scripts and their TypeScript side', () => {
  it.each(scriptNames)('%s answers the statuses of the list, all and no others', (name: ScriptName) => {
    expect([...statusesIn(scriptSource(name))].sort()).toEqual([...scriptStatuses[name]].sort());
  });

  it.each(guards)('the guard %s is in a script and can be taken out', (guard: Guard) => {
    const changed = scriptNames.filter((name) => scriptSource(name) !== scriptSource(name, { withoutGuards: [guard] }));
    expect(changed).toHaveLength(1);
  });

  it('every include is resolved', () => {
    for (const name of scriptNames) expect(scriptSource(name)).not.toContain('--#include');
  });
});
