/** Calls that wait in the middle, so that something else can happen meanwhile. Runs in the Worker. */

/** Before a call does its work, or after. */
export type Moment = "before" | "after";

/** What becomes of a held call: it goes on, or fails in a way of which the platform says that a retry helps. */
export type Ending = "let-go" | "lost";

type HeldCall = { moment: Moment; hasCome: boolean; end?: Ending };

const calls = new Map<string, HeldCall>();

/** Holds the next call of this name when it comes to the moment. */
export function hold(operation: string, moment: Moment): void {
  calls.set(operation, { moment, hasCome: false });
}

/** Whether the call that is to be held has come, and waits. */
export function isHeld(operation: string): boolean {
  return calls.get(operation)?.hasCome === true;
}

/** Ends the wait of the held call. */
export function letGo(operation: string, end: Ending): void {
  const call = calls.get(operation);
  if (call === undefined) throw new Error(`no ${operation} is held`);
  call.end = end;
  calls.delete(operation);
}

/** To be called at each moment of a call: waits if this is the one to hold. */
export async function waitIfHeld(operation: string, moment: Moment): Promise<void> {
  const call = calls.get(operation);
  if (call === undefined || call.moment !== moment || call.hasCome) return;
  call.hasCome = true;
  // It polls, as the platform lets no request wait for a promise that another one resolves.
  while (call.end === undefined) await scheduler.wait(5);
  if (call.end === "lost") throw Object.assign(new Error(`${operation}: lost`), { retryable: true });
}
