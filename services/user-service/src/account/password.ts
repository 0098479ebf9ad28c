import { limits } from '@frontrow/shared/limits.ts';
import { fail, ok, type Result } from '@frontrow/shared/result.ts';
import bcrypt from 'bcrypt';

export interface Passwords {
  hash(password: string): Promise<Result<string, 'overloaded'>>;
  /** @param hash null when there is no such account: the same work is done, so that time tells nothing. */
  matches(password: string, hash: string | null): Promise<Result<boolean, 'overloaded'>>;
}

/**
 * bcrypt on libuv's threads, never on the event loop. The number of jobs is bounded: more would only wait, and the
 * threads are few.
 */
export async function createPasswords(cost: number, jobsMax: number = limits.passwordJobsMax): Promise<Passwords> {
  const dummyHash = await bcrypt.hash('no account has this hash', cost);
  let jobs = 0;
  const bounded = async <T>(job: () => Promise<T>): Promise<Result<T, 'overloaded'>> => {
    if (jobs >= jobsMax) return fail('overloaded');
    jobs += 1;
    try {
      return ok(await job());
    } finally {
      jobs -= 1;
    }
  };
  return {
    hash: (password) => bounded(() => bcrypt.hash(password, cost)),
    matches: (password, hash) =>
      bounded(async () => {
        const same = await bcrypt.compare(password, hash ?? dummyHash);
        // bcrypt reads 72 bytes: what is longer would match by its beginning.
        return same && hash !== null && Buffer.byteLength(password) <= limits.passwordBytesMax;
      }),
  };
}
