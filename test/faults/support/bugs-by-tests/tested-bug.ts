import type { Replacement } from "../replacing.ts";

/** A bug: the file of the test that finds it, the test's title, and the changes to the sources that bring it. */
export type TestedBug = { file: string; test: string; changes: Replacement[] };

/** A change of a text in a file. */
export const change = (file: string, from: string, to: string): Replacement => ({ file, from, to });

/** A bug that one change brings. */
export function bug(file: string, test: string, changed: string, from: string, to: string): TestedBug {
  return { file, test, changes: [change(changed, from, to)] };
}
