/** The bugs on purpose of `npm run test:mutations` are about texts that are there, and tests that are. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { bugs } from "./support/bugs.ts";
import { bugsByTests } from "./support/bugs-by-tests.ts";
import type { Replacement } from "./support/replacing.ts";

const read = (file: string) => readFile(join(projectDirectory, file), "utf8");

const changes: Replacement[] = [
  ...Object.values(bugs).flatMap((ofKind) => Object.values(ofKind).flat()),
  ...Object.values(bugsByTests).flatMap((each) => each.changes),
];

test("each bug on purpose changes a text that is in its file once", async () => {
  for (const { file, from, to } of changes) {
    const pieces = (await read(file)).split(from);
    assert.equal(pieces.length, 2, `${file} has ${pieces.length - 1} times: ${from}`);
    assert.notEqual(from, to);
  }
});

test("the tests that find bugs on purpose are there", async () => {
  for (const { file, test: title } of Object.values(bugsByTests)) {
    // A title may be made of pieces.
    const [first = ""] = title.split(" and has none of the digests");
    assert((await read(file)).includes(first), `${file} has no test: ${title}`);
  }
});
