/** What a command leaves when a signal ends it, and what it ends with: the command line as a process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import test from "node:test";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { runtimes, startProgram, temporaryDirectory, until } from "../local/program.ts";
import { content, describe } from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { answer, fakeRegistry } from "../unit/client/fake-registry.ts";
import { call } from "./command-line.ts";

const main = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts");
const repository = { name: "app", visibility: "private", description: "", readme: "" };

/** A registry of one repository, with a manifest that never comes. */
async function endlessRegistry(): Promise<string> {
  const { digest, size } = describe(content(), imageManifestType);
  const registry = await fakeRegistry(({ path }, response) => {
    if (path.includes("/content")) return void response.write("{");
    const manifest = { digest, size, mediaType: imageManifestType, tags: [] };
    const isList = path.includes("/manifests");
    answer(response, 200, {}, isList ? { manifests: [manifest] } : { repositories: [repository] });
  });
  return registry.url.href;
}

for (const name of ["SIGTERM", "SIGINT"] as const) {
  test(`an export that ${name} ends leaves no partial file, and is known to have been ended so`, async (t) => {
    const directory = temporaryDirectory(t);
    const partial = () =>
      existsSync(join(directory, "app")) &&
      readdirSync(join(directory, "app")).some((each) => each.endsWith(".partial"));
    const program = startProgram(t, [...runtimes.node, main, "export", directory], {
      env: { STOWAGE_URL: await endlessRegistry() },
    });
    await until("the file", partial);
    process.kill(program.pid, name);
    // A shell's loop goes on after a command that has dealt with the signal.
    assert.deepEqual(await program.ended, { code: null, signal: name });
    assert(!partial());
  });
}

test("a push from stdin that is ended leaves no archive", async (t) => {
  const directory = temporaryDirectory(t);
  const child = spawn(process.execPath, [main, "push", "-", "localhost:9/app"], {
    env: { ...process.env, TMPDIR: directory },
    stdio: ["pipe", "ignore", "ignore"],
  });
  afterTest(t, () => child.kill("SIGKILL"));
  const spooled = () => readdirSync(directory).filter((each) => each.startsWith("stowage-"));
  await until("the archive", () =>
    spooled().some((each) => existsSync(join(directory, each, "archive.tar"))),
  );
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [null, "SIGINT"]);
  assert.deepEqual(spooled(), []);
});

const full = "/dev/full";

test("what cannot be printed, as on a full disk, is said, and is a failure", {
  skip: !existsSync(full),
}, async (t) => {
  const file = openSync(full, "w");
  afterTest(t, () => closeSync(file));
  const child = spawn(process.execPath, [main, "completion", "bash"], { stdio: ["ignore", file, "pipe"] });
  const [said, [code]] = await Promise.all([text(child.stderr as Readable), once(child, "exit")]);
  assert.equal(code, 1);
  assert.match(said, /^stowage: [^\n]*ENOSPC[^\n]*\n$/);
});

test("a reader that has enough is no failure", async () => {
  const child = spawn(process.execPath, [main, "completion", "bash"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  assert.deepEqual(await Promise.all([text(child.stderr), once(child, "exit")]), ["", [0, null]]);
});

test("an export removes partial files that a killed one left, and none that may still be written", async (t) => {
  const registry = await fakeRegistry(({ path }, response) => {
    if (path.includes("/manifests")) return answer(response, 200, {}, { manifests: [] });
    answer(response, 200, {}, path.endsWith("/app") ? repository : { repositories: [repository] });
  });
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, "app"));
  const [old, recent, others] = [
    ".0b7e7a52-93b0-4a6f-8df5-1d2f6f1c9e10.partial",
    ".0b7e7a52-93b0-4a6f-8df5-1d2f6f1c9e11.partial",
    "notes.partial",
  ].map((each) => join(directory, "app", each)) as [string, string, string];
  for (const each of [old, recent, others]) writeFileSync(each, "");
  const yesterday = new Date(Date.now() - 86_400_000);
  for (const each of [old, others]) utimesSync(each, yesterday, yesterday);
  const { code, stderr } = await call(["export", directory], { STOWAGE_URL: registry.url.href });
  assert.equal(code, 0, stderr);
  assert.deepEqual([old, recent, others].map(existsSync), [false, true, true]);
});
