/** Several servers on one machine: what one finds recorded in its directory may be about another. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { makeSocketFolder } from "../../src/local/socket-folder.ts";
import { afterTest } from "../support/ends.ts";
import { ready, recordedWorkerd, runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");

async function start(t: TestContext, data: string, env: Record<string, string> = {}) {
  const command = [...runtimes.node, main, "--port", "0", "--data", data, "--log", "none"];
  return ready(startProgram(t, command, { data, env }));
}

test("a server on a copy of a directory leaves the one that runs on the directory alone", async (t) => {
  const parent = temporaryDirectory(t);
  // The path of the copy is the beginning of the other one.
  const [data, copy] = [join(parent, "data of today"), join(parent, "data")];
  const url = await start(t, data);
  const workerd = recordedWorkerd(data);
  cpSync(data, copy, { recursive: true });
  chmodSync(copy, 0o700);
  const urlOfCopy = await start(t, copy);
  for (const each of [url, urlOfCopy]) {
    const answer = await fetch(`${each}/healthz`, { headers: { Connection: "close" } });
    assert.equal(answer.status, 200);
  }
  assert.equal(recordedWorkerd(data), workerd);
});

test("of what a killed server left, its own folder of sockets goes, and nobody else's of that name", async (t) => {
  const temporary = temporaryDirectory(t);
  const data = join(temporaryDirectory(t), "data");
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(join(data, "lock"), "");
  const folder = join(temporary, "stowage-abc");
  for (const owner of [process.getuid?.() ?? 0, 65534]) {
    mkdirSync(folder);
    if (owner !== process.getuid?.()) {
      // Only root can give away what is its own.
      if (process.getuid?.() !== 0) return;
      chownSync(folder, owner, owner);
    }
    writeFileSync(join(data, "sockets"), `${folder}\n${data}\n`);
    const server = startProgram(t, [...runtimes.node, main, "--port", "0", "--data", data, "--log", "none"], {
      data,
      env: { TMPDIR: temporary },
    });
    await ready(server);
    assert.equal(existsSync(folder), owner === 65534);
    server.child.kill("SIGTERM");
    await until("its end", () => server.hasEnded);
  }
});

test("a record of sockets has no other folder removed than one of a server's", (t) => {
  const data = temporaryDirectory(t);
  const folder = makeSocketFolder(data);
  afterTest(t, () => rmSync(folder, { recursive: true, force: true }));
  const inner = join(folder, "inner");
  mkdirSync(inner);
  for (const other of [temporaryDirectory(t), inner]) {
    writeFileSync(join(data, "sockets"), `${other}\n${data}\n`);
    makeSocketFolder(data);
    assert(existsSync(other), other);
  }
  writeFileSync(join(data, "sockets"), `${folder}\n${data}\n`);
  makeSocketFolder(data);
  assert(!existsSync(folder));
});
