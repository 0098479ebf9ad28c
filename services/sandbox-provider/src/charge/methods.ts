/** What happens to a charge, by its test payment method. */
export interface Plan {
  outcome: 'succeeded' | 'declined';
  failure?: { code: string; detail: string };
  /** 0: decided before the reply. Else the charge is pending until then. */
  decidedAfterMs: number;
  /** `never` concerns the first request of a key only: who repeats it gets the charge. */
  reply: 'now' | 'when_decided' | 'never';
  /** The first request of a key leaves no trace. */
  forgetsFirstTry: boolean;
  webhook: 'once' | 'twice' | 'late' | 'before_pending';
}

interface Method {
  paymentMethod: string;
  behaviour: string;
  plan: Plan;
}

const succeeds: Plan = {
  outcome: 'succeeded',
  decidedAfterMs: 0,
  reply: 'now',
  forgetsFirstTry: false,
  webhook: 'once',
};
const insufficientFunds = { code: 'insufficient_funds', detail: 'The account does not have enough money.' };

export const webhookLateMs = 10_000;
const lateSecondsMax = 120;

/** The list that the documents show and that `planOf` follows. */
const methods: readonly Method[] = [
  { paymentMethod: 'pm_ok', behaviour: 'succeeds at once', plan: succeeds },
  {
    paymentMethod: 'pm_declined',
    behaviour: 'is declined at once: insufficient funds',
    plan: { ...succeeds, outcome: 'declined', failure: insufficientFunds },
  },
  {
    paymentMethod: 'pm_slow',
    behaviour: 'is pending for 3 s and then succeeds; the reply waits for it',
    plan: { ...succeeds, decidedAfterMs: 3_000, reply: 'when_decided' },
  },
  {
    paymentMethod: 'pm_timeout',
    behaviour: 'succeeds at once, but the first reply never comes',
    plan: { ...succeeds, reply: 'never' },
  },
  {
    paymentMethod: 'pm_timeout_unknown',
    behaviour: 'the first request of a key is lost: no reply, nothing recorded; the second succeeds',
    plan: { ...succeeds, forgetsFirstTry: true },
  },
  {
    paymentMethod: 'pm_pending',
    behaviour: 'is pending, and succeeds after 1 s',
    plan: { ...succeeds, decidedAfterMs: 1_000 },
  },
  {
    paymentMethod: 'pm_pending_declined',
    behaviour: 'is pending, and is declined after 1 s',
    plan: { ...succeeds, outcome: 'declined', failure: insufficientFunds, decidedAfterMs: 1_000 },
  },
  {
    paymentMethod: 'pm_duplicate',
    behaviour: 'succeeds at once; its webhook is sent twice',
    plan: { ...succeeds, webhook: 'twice' },
  },
  {
    paymentMethod: 'pm_reordered',
    behaviour: 'is pending, and succeeds after 1 s; the webhook charge.succeeded comes before charge.pending',
    plan: { ...succeeds, decidedAfterMs: 1_000, webhook: 'before_pending' },
  },
  {
    paymentMethod: 'pm_webhook_late',
    behaviour: 'succeeds at once; its webhook comes 10 s late',
    plan: { ...succeeds, webhook: 'late' },
  },
];

const latePattern = /^pm_late_([1-9]\d{0,2})s$/;
const unknownMethod: Plan = {
  ...succeeds,
  outcome: 'declined',
  failure: { code: 'unknown_payment_method', detail: 'There is no such test payment method.' },
};
const plans = new Map(methods.map(({ paymentMethod, plan }) => [paymentMethod, plan]));

export function planOf(paymentMethod: string): Plan {
  const lateSeconds = Number(latePattern.exec(paymentMethod)?.[1] ?? 0);
  if (lateSeconds >= 1 && lateSeconds <= lateSecondsMax) return { ...succeeds, decidedAfterMs: lateSeconds * 1_000 };
  return plans.get(paymentMethod) ?? unknownMethod;
}

export const documentedMethods: readonly { paymentMethod: string; behaviour: string }[] = [
  ...methods.map(({ paymentMethod, behaviour }) => ({ paymentMethod, behaviour })),
  {
    paymentMethod: 'pm_late_<N>s',
    behaviour: `is pending, and succeeds after N seconds (1 to ${lateSecondsMax}), such as pm_late_15s`,
  },
  { paymentMethod: 'any other', behaviour: 'is declined: unknown_payment_method' },
];
