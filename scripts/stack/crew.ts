import type { Lock, StackRecord } from './lock.ts';
import { followLog, rotateLog } from './logs.ts';
import { markOf, type ProcessMark } from './pids.ts';
import { type Launch, Supervised } from './supervisor.ts';

export interface CrewMember {
  name: string;
  ports: readonly number[];
  healthUrl?: string;
  /** Ended in this order; the same number together. */
  stopStage: number;
  /** A log that the process keeps itself; without it the crew gives it a fresh one. */
  logFile?: string;
}

interface Member {
  about: CrewMember;
  logFile: string;
  process: Supervised;
  /** Ends the watch over its log. */
  unfollow: () => void;
}

/** All processes of one stack: added in the order of their start, ended in the order of their stages. */
export class Crew {
  readonly #members = new Map<string, Member>();
  readonly #dataDir: string;
  readonly #lock: Lock;
  readonly #say: (line: string) => void;
  /** The pids as the record has them, with their births: looked up once, while the process surely lives. */
  readonly #marks = new Map<number, ProcessMark>();
  #stopping: Promise<void> | undefined;

  constructor(dataDir: string, lock: Lock, say: (line: string) => void) {
    this.#dataDir = dataDir;
    this.#lock = lock;
    this.#say = say;
  }

  /** Starts a process and keeps it alive; resolves when it is ready. */
  async add(about: CrewMember, launch: (logFile: string) => Launch): Promise<Supervised> {
    if (this.#stopping) throw new Error(`${about.name} is not started: the stack is ending`);
    const logFile = about.logFile ?? rotateLog(this.#dataDir, about.name);
    const options = { say: this.#say, onChange: () => this.#record() };
    const process = new Supervised(about.name, launch(logFile), options);
    const member: Member = { about, logFile, process, unfollow: () => undefined };
    this.#members.set(about.name, member);
    await process.start();
    // From its first line, but only now: a start that fails shows its log's end itself. The log that a process keeps itself
    // is a database server's, whose notes are of no use on the console.
    if (!about.logFile) member.unfollow = followLog(about.name, logFile, this.#say);
    return process;
  }

  byName(): Record<string, Supervised> {
    return Object.fromEntries([...this.#members].map(([name, { process }]) => [name, process]));
  }

  /** Ends everything, stage by stage, and gives the data folder free. Called again it waits for the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  /** Ends everything at once, for good. Needs no await, so it works while the process exits. */
  killAll(): void {
    this.#stopping ??= Promise.resolve();
    for (const { process } of this.#members.values()) process.killForGood();
    this.#lock.release();
  }

  async #stopAll(): Promise<void> {
    this.#lock.update({ state: 'stopping' });
    const members = [...this.#members.values()];
    const stages = [...new Set(members.map(({ about }) => about.stopStage))].sort((one, other) => one - other);
    for (const stage of stages) {
      const together = members.filter(({ about }) => about.stopStage === stage);
      await Promise.all(together.map(({ process }) => process.stop()));
    }
    for (const { unfollow } of members) unfollow();
    this.#lock.release();
  }

  #record(): void {
    const processes: StackRecord['processes'] = [...this.#members.values()].map(({ about, logFile, process }) => ({
      name: about.name,
      mark: this.#markOf(process.pid),
      state: process.state,
      restarts: process.restarts,
      healthUrl: about.healthUrl,
      ports: [...about.ports],
      logFile,
    }));
    this.#lock.update({ processes });
  }

  #markOf(pid: number | undefined): ProcessMark | undefined {
    if (pid === undefined) return undefined;
    const mark = this.#marks.get(pid) ?? markOf(pid);
    if (mark) this.#marks.set(pid, mark);
    return mark;
  }
}
