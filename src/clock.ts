/** The source of time, in milliseconds since 1970. Passed in everywhere, so that tests can move it. */
export interface Clock {
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = Date;
