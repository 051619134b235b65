/** The program that a server builds when it starts from its sources: the next start may be another user's. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { writeAtomically, writeForAll } from "../../src/local/files.ts";
import { readInterface } from "../../src/local/interface.ts";
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

test("a folder that an earlier release made private is opened, and keeps what else was set for it", (t) => {
  const folder = join(temporaryDirectory(t), "dist");
  for (const [before, after] of [
    [0o700, 0o755],
    [0o2770, 0o2775],
    [0o755, 0o755],
  ] as const) {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, before);
    writeForAll(join(folder, "worker.bin"), "");
    assert.equal(statSync(folder).mode & 0o7777, after);
  }
});

test("the interface that a server cannot keep is passed on, and is the one that another keeps", async (t) => {
  const directory = temporaryDirectory(t);
  const kept = join(directory, "dist", "interface.js");
  const text = await readInterface(kept);
  assert.match(text, /^\/\/ [0-9a-f]{64}\nexport const files = /);
  assert.equal(readFileSync(kept, "utf8"), text);
  assert.equal(await readInterface(join(kept, "dist", "interface.js")), text);
});

test("why a file cannot be written is not hidden by what could not be removed either", (t) => {
  const file = join(temporaryDirectory(t), "file");
  writeFileSync(file, "");
  assert.throws(() => writeAtomically(join(file, "worker.bin"), ""), { code: "ENOTDIR", syscall: "open" });
});
