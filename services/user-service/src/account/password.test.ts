import { describe, expect, test } from 'vitest';
import { createPasswords } from './password.ts';

describe('passwords', () => {
  test('match their own hash and no other', async () => {
    const passwords = await createPasswords(4);
    const hash = await passwords.hash('correct horse battery');
    if (!hash.ok) throw new Error('refused');
    expect(hash.value).toMatch(/^\$2b\$04\$/);
    expect(await passwords.matches('correct horse battery', hash.value)).toEqual({ ok: true, value: true });
    expect(await passwords.matches('correct horse', hash.value)).toEqual({ ok: true, value: false });
    expect(await passwords.matches('no account has this hash', null)).toEqual({ ok: true, value: false });
  });

  test('72 bytes do not match with more behind them', async () => {
    const passwords = await createPasswords(4);
    const longest = 'ä'.repeat(36);
    const hash = await passwords.hash(longest);
    if (!hash.ok) throw new Error('refused');
    expect(await passwords.matches(longest, hash.value)).toEqual({ ok: true, value: true });
    expect(await passwords.matches(`${longest}x`, hash.value)).toEqual({ ok: true, value: false });
  });

  test('more jobs than the bound are refused, and the bound is free again afterwards', async () => {
    const passwords = await createPasswords(4, 2);
    const results = await Promise.all([1, 2, 3].map((n) => passwords.hash(`password ${n}`)));
    expect(results.map(({ ok }) => ok)).toEqual([true, true, false]);
    expect(results[2]).toEqual({ ok: false, failure: 'overloaded' });
    expect((await passwords.hash('password 4')).ok).toBe(true);
    await expect(passwords.matches('x', 'no bcrypt hash')).resolves.toEqual({ ok: true, value: false });
  });

  test('leave the event loop free', async () => {
    const passwords = await createPasswords(11);
    let turns = 0;
    let done = false;
    const hashing = passwords.hash('password').then(() => {
      done = true;
    });
    const turn = () => {
      turns += 1;
      if (!done) setImmediate(turn);
    };
    turn();
    await hashing;
    expect(turns).toBeGreaterThan(50);
  });
});
