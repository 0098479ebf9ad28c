import type { PaymentStatus } from '@frontrow/shared/contracts/payment.ts';
import {
  type ChargeAnswer,
  nextStep,
  type PaymentEvent,
  type PaymentState,
  type Seen,
  type Step,
  transitionOf,
  unfinishedStatuses,
} from './payment.ts';

/**
 * One payment and everything that can happen around it, for the money model test: two workers that drive it, a fan who posts,
 * a rival for the seat, the hold in Redis and in MySQL, the provider. The workers' decision is the real `nextStep`, the row
 * moves only along the real transition table. Worlds are plain immutable data; `happenings` lists every next one.
 */
type Phase = 'none' | 'held' | 'paying' | 'ended' | 'sold' | 'lost';
interface Hold {
  phase: Phase;
  /** The attempt that it is or was paid by; 0 once it cannot matter any more. */
  attempt: number;
  /** Somebody else has the seat. */
  rival: boolean;
}
type ChargeState = 'none' | 'pending' | 'succeeded' | 'declined' | 'voided';
interface Charge {
  state: ChargeState;
  /** The provider pays a refund key once, so this is all that repeated calls can do. */
  refunded: boolean;
}
type Call = 'charge' | 'lookUp' | 'void' | 'release' | 'settle' | 'cancel' | 'refund';
interface Worker {
  status: PaymentStatus;
  attempt: number;
  seen: Seen;
  /** What it does next; chosen with what it has seen, done at any later moment. */
  step: Step;
}

export interface World {
  row: { status: PaymentStatus; attempt: number } | null;
  hold: Hold;
  /** The newest state of the hold that MySQL has. */
  durable: Hold;
  charges: readonly Charge[];
  workers: readonly (Worker | null)[];
  /** A call whose caller is gone: it may still arrive. */
  astray: { call: Call; attempt: number } | null;
  /** A POST between `begin` and its row. */
  posting: number;
  /** The worker's clock is past what `begin` promised for the row's attempt. */
  late: boolean;
  redisLossesLeft: number;
  cancelsLeft: number;
}

export interface Rules {
  decide: (payment: PaymentState, seen: Seen, nowMs: number) => Step;
  /** False: a move overwrites whatever the row says. */
  compareAndSet: boolean;
  /** False: `settle` forgets that it once said lost. */
  lossIsRecorded: boolean;
  attempts: number;
  /** Calls that arrive after their caller's end. */
  strayCalls: boolean;
}
export const realRules: Rules = {
  decide: nextStep,
  compareAndSet: true,
  lossIsRecorded: true,
  attempts: 1,
  strayCalls: true,
};

const nothing: Hold = { phase: 'none', attempt: 0, rival: false };
const ended: Hold = { ...nothing, phase: 'ended' };

export function firstWorld(rules: Rules): World {
  return {
    row: null,
    hold: { ...nothing, phase: 'held' },
    durable: nothing,
    charges: Array.from({ length: rules.attempts }, () => ({ state: 'none', refunded: false })),
    workers: [null, null],
    astray: null,
    posting: 0,
    late: false,
    redisLossesLeft: 1,
    cancelsLeft: 1,
  };
}

/** Everything that may happen next. */
export function happenings(world: World, rules: Rules): World[] {
  return [
    ...ofTheFan(world, rules),
    ...ofTheSurroundings(world),
    ...ofStrayCalls(world, rules),
    ...ofWorkers(world, rules),
  ];
}

/** @returns what is wrong with this world, or null. */
export function faultOf(world: World): string | null {
  const { row, hold, durable, charges } = world;
  const charged = charges.filter(({ state }) => state === 'succeeded').length;
  const refunds = charges.filter(({ refunded }) => refunded).length;
  const hasSeat = hold.phase === 'sold' || durable.phase === 'sold';
  if (charged > 1) return 'charged twice';
  if (charges.some(({ state, refunded }) => refunded && state !== 'succeeded')) return 'refund without money';
  if (hold.rival && isLive(hold)) return 'one seat, two fans';
  if (refunds > 0 && hasSeat) return 'seat and refund';
  if (!isQuiet(world) || isUnfinished(world)) return null;
  const keepsSeat = hold.phase === 'sold' && durable.phase === 'sold';
  if (charged > refunds && !keepsSeat) return 'money without seat or refund';
  if (charged === 0 && hasSeat) return 'seat without money';
  if (row?.status === 'refunded' && refunds === 0) return 'refunded without refund';
  return null;
}

/** Nobody is in the middle of something. */
export const isQuiet = ({ workers, astray, posting }: World): boolean =>
  astray === null && posting === 0 && workers.every((worker) => worker === null);

/** The reconciler would start a worker. */
export const isUnfinished = ({ row }: World): boolean =>
  row !== null && unfinishedStatuses.some((status) => status === row.status);

/** The world after one undisturbed delivery: nothing crashes, the log is persisted, the provider makes up its mind. */
export function afterCalmDelivery(world: World, rules: Rules): World {
  const charges = world.charges.map((charge): Charge => {
    return charge.state === 'pending' ? { ...charge, state: 'succeeded' } : charge;
  });
  let [calm] = startsOf({ ...world, charges, durable: world.hold }, 0, rules);
  for (let steps = 0; calm?.workers[0] && steps < 50; steps += 1) {
    [calm] = stepsOf(calm, 0, rules);
    if (calm) calm = { ...calm, durable: calm.hold };
  }
  return calm ?? world;
}

/** Identifies a world; the two workers are alike, so their order does not matter. */
export function keyOf(world: World): string {
  const { row, hold, durable, charges, workers, astray } = world;
  const drivers = workers.map((worker) =>
    worker === null ? '-' : `${worker.status}${worker.attempt}${JSON.stringify(worker.seen)}${nameOf(worker.step)}`,
  );
  return [
    row === null ? '-' : row.status + row.attempt,
    ...[hold, durable].map(({ phase, attempt, rival }) => phase + attempt + (rival ? 'R' : '')),
    ...charges.map(({ state, refunded }) => state + (refunded ? 'R' : '')),
    ...drivers.sort(),
    astray === null ? '-' : astray.call + astray.attempt,
    `${world.posting}${world.late ? 'L' : ''}${world.redisLossesLeft}${world.cancelsLeft}`,
  ].join(' ');
}

function ofTheFan(world: World, rules: Rules): World[] {
  const { row, hold, posting } = world;
  if (posting > 0) {
    const over = { ...world, posting: 0 };
    const isNext = row === null ? posting === 1 : row.status === 'failed' && row.attempt === posting - 1;
    const event = row === null ? 'posted' : 'retried';
    // Either the row is written, or the process crashed first.
    return isNext
      ? [over, { ...over, row: { status: transitionOf(event).to, attempt: posting }, late: false }]
      : [over];
  }
  const attempt = row === null ? 1 : row.status === 'failed' ? row.attempt + 1 : 0;
  if (attempt === 0 || attempt > rules.attempts) return [];
  const isAgain = hold.phase === 'paying' && hold.attempt === attempt;
  const isNew = (hold.phase === 'held' || hold.phase === 'paying') && attempt > hold.attempt;
  return isAgain || isNew ? [{ ...world, posting: attempt, hold: { ...hold, phase: 'paying', attempt } }] : [];
}

function ofTheSurroundings(world: World): World[] {
  const { row, hold, durable, charges } = world;
  const next: World[] = [];
  if (hold.phase === 'held' || hold.phase === 'paying') next.push({ ...world, hold: ended });
  if (hold.rival) next.push({ ...world, hold: { ...hold, rival: false } });
  else if (!isLive(hold)) next.push({ ...world, hold: { ...hold, rival: true } });
  if (!world.late) next.push({ ...world, late: true });
  next.push({ ...world, durable: hold });
  if (world.redisLossesLeft > 0) next.push({ ...world, hold: durable, redisLossesLeft: world.redisLossesLeft - 1 });
  charges.forEach((charge, index) => {
    if (charge.state === 'pending') next.push(...chargeBecomes(world, index + 1, 'succeeded', 'declined'));
  });
  if (row?.status === 'completed' && world.cancelsLeft > 0) {
    next.push({ ...world, row: { ...row, status: transitionOf('cancelled').to }, cancelsLeft: world.cancelsLeft - 1 });
  }
  return next;
}

function ofStrayCalls(world: World, rules: Rules): World[] {
  const { astray } = world;
  if (astray === null) return [];
  const gone = { ...world, astray: null };
  return [gone, ...effectsOf(gone, astray.call, astray.attempt, rules).map((effect) => effect.world)];
}

function ofWorkers(world: World, rules: Rules): World[] {
  return world.workers.flatMap((worker, index) => {
    if (worker === null) return startsOf(world, index, rules);
    const crashed = { ...world, workers: world.workers.with(index, null) };
    const call = callOf(worker.step);
    const canStray = call !== null && rules.strayCalls && world.astray === null;
    return [
      crashed,
      ...(canStray ? [{ ...crashed, astray: { call, attempt: worker.attempt } }] : []),
      ...stepsOf(world, index, rules),
    ];
  });
}

/** A worker reads the row and decides. */
function startsOf(world: World, index: number, rules: Rules): World[] {
  const { row } = world;
  return row === null ? [] : withWorker(world, index, { ...row, seen: { rung: true } }, rules);
}

/** A worker does what it decided, and decides what comes next. */
function stepsOf(world: World, index: number, rules: Rules): World[] {
  const worker = world.workers[index];
  if (!worker) return [];
  const { step } = worker;
  if (step.do === 'move') return startsOf(moved(world, worker, step.event, rules), index, rules);
  const call = callOf(step);
  if (call === null) return [];
  const effects = effectsOf(world, call, worker.attempt, rules);
  if (call === 'charge') {
    // The answer is lost on its way, whether the charge was made or not.
    const silent: Seen = { charge: { answer: 'silent', to: 'charge' } };
    effects.push({ world, seen: silent }, ...effects.map((effect) => ({ world: effect.world, seen: silent })));
  }
  return effects.flatMap((effect) =>
    withWorker(effect.world, index, { ...worker, seen: { ...worker.seen, ...effect.seen } }, rules),
  );
}

function withWorker(world: World, index: number, worker: Omit<Worker, 'step'>, rules: Rules): World[] {
  // A worker with an older attempt goes by that attempt's promise, which may be over or not.
  const clocks = world.late ? [1] : worker.attempt === world.row?.attempt ? [0] : [0, 1];
  return clocks.map((nowMs) => {
    const step = rules.decide(
      { status: worker.status, attempt: worker.attempt, holdExpiresAtMs: 1 },
      worker.seen,
      nowMs,
    );
    const isOver = step.do === 'again' || step.do === 'rest';
    return { ...world, workers: world.workers.with(index, isOver ? null : { ...worker, step }) };
  });
}

function moved(world: World, worker: Worker, event: PaymentEvent, rules: Rules): World {
  const { row } = world;
  const { from, to } = transitionOf(event);
  if (row === null) return world;
  const wins = row.attempt === worker.attempt && from.includes(row.status);
  return wins || !rules.compareAndSet ? { ...world, row: { ...row, status: to } } : world;
}

interface Effect {
  world: World;
  seen: Seen;
}

/** What a call may do, and what its caller then sees: the hold's and the provider's side of the contracts. */
function effectsOf(world: World, call: Call, attempt: number, rules: Rules): Effect[] {
  const { hold, durable } = world;
  const charge = world.charges[attempt - 1];
  if (charge === undefined) return [];
  const said = (after: World, answer: ChargeAnswer, to: 'charge' | 'lookUp' | 'void'): Effect => ({
    world: after,
    seen: { charge: { answer, to } },
  });
  switch (call) {
    case 'charge': {
      if (charge.state !== 'none') return [said(world, charge.state, call)];
      const [succeeded = world, declined = world, pending = world] = chargeBecomes(
        world,
        attempt,
        'succeeded',
        'declined',
        'pending',
      );
      return [
        said(succeeded, 'succeeded', call),
        said(declined, 'declined', call),
        said(pending, 'pending', call),
        said(world, 'refused', call),
      ];
    }
    case 'lookUp':
      return [said(world, charge.state === 'none' ? 'unknown' : charge.state, call)];
    case 'void': {
      const [voided = world] = chargeBecomes(world, attempt, 'voided');
      if (charge.state === 'none') return [said(voided, 'voided', call)];
      // A provider may or may not be able to stop a charge that is under way.
      return [said(world, charge.state, call), ...(charge.state === 'pending' ? [said(voided, 'voided', call)] : [])];
    }
    case 'release': {
      const isCurrent = hold.phase === 'paying' && hold.attempt === attempt;
      return [{ world: isCurrent ? { ...world, hold: { ...hold, phase: 'held' } } : world, seen: { released: true } }];
    }
    case 'settle': {
      const isLost = hold.phase === 'lost' || (!isLive(hold) && hold.rival);
      const phase = isLost ? 'lost' : 'sold';
      const after: Hold = isLost && !rules.lossIsRecorded ? hold : { ...hold, phase, attempt: 0 };
      return [
        { world: { ...world, hold: after }, seen: { settled: { outcome: phase, durable: durable.phase === phase } } },
      ];
    }
    case 'cancel':
      return [
        {
          world: { ...world, hold: { ...hold, phase: 'lost', attempt: 0 } },
          seen: { cancelled: { durable: durable.phase === 'lost' } },
        },
      ];
    case 'refund': {
      const charges = world.charges.with(attempt - 1, { ...charge, refunded: true });
      return [{ world: { ...world, charges }, seen: { refund: 'succeeded' } }];
    }
  }
}

function chargeBecomes(world: World, attempt: number, ...states: ChargeState[]): World[] {
  const charge = world.charges[attempt - 1];
  if (charge === undefined) return [];
  return states.map((state) => ({ ...world, charges: world.charges.with(attempt - 1, { ...charge, state }) }));
}

const callOf = (step: Step): Call | null =>
  step.do === 'move' || step.do === 'again' || step.do === 'rest' ? null : step.do;

const nameOf = (step: Step): string => (step.do === 'move' ? step.event : step.do);

const isLive = ({ phase }: Hold): boolean => phase === 'held' || phase === 'paying' || phase === 'sold';
