/** A reason to stop that a person can act upon: shown without a stack trace, exit code 1. */
export class Stop extends Error {}
