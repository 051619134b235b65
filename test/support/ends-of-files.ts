/** What ends after the tests of a file, in the way of ends.ts. */
import { after as afterSuite } from "node:test";
import { Ends } from "./ends.ts";

/** The suite that is being declared, or the file if there is none. */
const suite = { after: afterSuite };
// Asked for when the first test imports this: a hook that is added in a suite belongs to that suite.
let ends = new Ends(suite);

/** Ends something after the tests of the file. */
export function after(end: () => unknown): void {
  ends.add(end);
}

/** Begins a file that is a suite, where several share a process. To be called in that suite. */
export function beginFile(): void {
  ends = new Ends(suite);
}
