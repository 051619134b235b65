/** The program that a server builds when it starts from its sources: the next start may be another user's. */
import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readProgram } from "../../src/local/workerd/program.ts";
import { afterTest } from "../support/ends.ts";
import { temporaryDirectory } from "./program.ts";

test("what a server built is read by other users' servers, however private its own files are", async (t) => {
  const before = process.umask(0o077);
  afterTest(t, () => process.umask(before));
  const folder = join(temporaryDirectory(t), "dist");
  const program = await readProgram(folder);
  const modes = [".", "worker.bin", "sources"].map((name) => statSync(join(folder, name)).mode & 0o777);
  assert.deepEqual(modes, [0o755, 0o644, 0o644]);
  assert.deepEqual(Buffer.from(await readProgram(folder)), Buffer.from(program));
});

test("a server that cannot keep what it built runs it all the same", async (t) => {
  const file = join(temporaryDirectory(t), "file");
  writeFileSync(file, "");
  assert((await readProgram(join(file, "dist"))).byteLength > 100_000);
});
