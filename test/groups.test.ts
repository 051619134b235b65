/** The groups in which `npm test` runs the test files, and how those end. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { inOtherProcesses, testFolder } from "./support/together.ts";

/** The test files that a group runs. */
function filesOf(group: string): string[] {
  const text = readFileSync(join(testFolder, group), "utf8");
  const [, patterns = "[]", exclude] = /^await runTogether\((\[.*?\])(?:, (\[.*\]))?\);$/m.exec(text) ?? [];
  return globSync(JSON.parse(patterns) as string[], {
    cwd: testFolder,
    exclude: exclude === undefined ? inOtherProcesses : (JSON.parse(exclude) as string[]),
  });
}

test("npm test runs every test file once, but for those that need other programs", () => {
  const all = globSync("**/*.test.ts", {
    cwd: testFolder,
    exclude: ["browser/**", "clients/**", "shipped/**"],
  });
  const groups = globSync("groups/*.ts", { cwd: testFolder });
  assert.deepEqual(groups.flatMap(filesOf).toSorted(), all.toSorted());
});

test("what tests begin ends in order, whatever fails: by support/ends.ts alone", () => {
  // Windows of a browser are closed after each test that opened one, and nothing hangs on their order.
  const exempt = ["support/ends.ts", "support/ends-of-files.ts", "browser/support/browser.ts"];
  const hooks = /\bt\.after\(|^import [^;]*\bafter\b[^;]* from "node:test"/m;
  const breaking = globSync("**/*.ts", { cwd: testFolder, exclude: exempt }).filter((file) =>
    hooks.test(readFileSync(join(testFolder, file), "utf8")),
  );
  assert.deepEqual(breaking, []);
});
