/** The bugs on purpose of `npm run test:mutations` are about texts that are there, and tests that are. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { transform } from "esbuild";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { bugs } from "./support/bugs.ts";
import { bugsByTests } from "./support/bugs-by-tests.ts";
import { type Replacement, replaced } from "./support/replacing.ts";

const read = (file: string) => readFile(join(projectDirectory, file), "utf8");

const all: [name: string, changes: Replacement[]][] = [
  ...Object.values(bugs).flatMap((ofKind) => Object.entries(ofKind)),
  ...Object.entries(bugsByTests).map(([name, { changes }]) => [name, changes] as const),
].map(([name, changes]) => [name, [changes].flat()]);

test("each bug on purpose changes a text that is in its file once, to something that can be built", async () => {
  for (const [name, changes] of all) {
    for (const [file, ofFile] of Map.groupBy(changes, (change) => change.file)) {
      const before = await read(file);
      const contents = replaced(before, ofFile);
      assert.notEqual(contents, before, name);
      if (file.endsWith(".ts"))
        await transform(contents, { loader: "ts", logLevel: "silent" }).catch((error) =>
          assert.fail(`${name}: ${error}`),
        );
    }
  }
});

test("the tests that find bugs on purpose are there", async () => {
  for (const { file, test: title } of Object.values(bugsByTests)) {
    // A title may be made of pieces.
    const [first = ""] = title.split(" and has none of the digests");
    assert((await read(file)).includes(first), `${file} has no test: ${title}`);
  }
});
