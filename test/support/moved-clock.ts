/**
 * The clock of the isolate that imports this, which tests move. It never goes back, as a machine's does when it is
 * set right: what a test made due is due in the test's next step.
 */
const machineNow = Date.now;
let aheadMs = 0;
let latest = 0;

Date.now = () => {
  latest = Math.max(latest, machineNow() + aheadMs);
  return latest;
};

/** Moves the clock forward, from what it showed last. */
export function moveClock(milliseconds: number): void {
  aheadMs = Date.now() + milliseconds - machineNow();
}
