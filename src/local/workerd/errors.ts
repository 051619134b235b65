/** What workerd is to run cannot be made; the message says why. */
export class ProgramError extends Error {
  override name = "ProgramError";
}

/** workerd ended before it listened, or cannot run here; the message says why. */
export class WorkerdError extends Error {
  override name = "WorkerdError";
}
