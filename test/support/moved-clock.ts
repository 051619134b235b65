/**
 * The clock of the isolate that imports this, which tests move. It never goes back, as a machine's does when it is
 * set right: what a test made due is due in the test's next step.
 */
const machineNow = Date.now;
let aheadMs = 0;
let latest = 0;
let isHeld = false;

Date.now = () => {
  if (isHeld) return latest;
  latest = Math.max(latest, machineNow() + aheadMs);
  return latest;
};

/** Moves the clock forward, from what it showed last. */
export function moveClock(milliseconds: number): void {
  isHeld = false;
  aheadMs = Date.now() + milliseconds - machineNow();
}

/** Stops the clock until it is moved: what happens meanwhile happens in the same millisecond. */
export function holdClock(): void {
  Date.now();
  isHeld = true;
}
