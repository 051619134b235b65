/**
 * A reporter that ends with the failed tests, each under the names of the file and the suites that it is in: the title
 * of a test alone may have its subject there.
 */
import type { TestEvent } from "node:test/reporters";

export default async function* failedTitles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  const failed: string[] = [];
  for await (const { type, data } of source) {
    // It comes before those of the tests within, in the order in which tests are written.
    if (type === "test:start") path.splice(data.nesting, path.length, data.name);
    if (type === "test:fail" && !isOfAnother(data.details.error)) {
      failed.push([...path.slice(0, data.nesting), data.name].join(" › "));
    }
  }
  if (failed.length > 0)
    yield `\nfailed, with where they are:\n${failed.map((each) => `  ${each}\n`).join("")}`;
}

/** A suite fails where a test in it does. */
function isOfAnother(error: Error): boolean {
  return "failureType" in error && error.failureType === "subtestsFailed";
}
