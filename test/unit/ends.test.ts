import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test, { suite } from "node:test";
import { afterTest, endAfterTest, type Owner } from "../support/ends.ts";
import { after, beginFile } from "../support/ends-of-files.ts";

/** A test, and what ends it. */
function owner(): { t: Owner; end: () => Promise<void> } {
  const hooks: (() => Promise<void>)[] = [];
  const end = async () => {
    for (const hook of hooks) await hook();
  };
  return { t: { after: (hook) => hooks.push(hook) }, end };
}

test("what begins last ends first, one after the other, and all of it though some fails", async () => {
  const ended: string[] = [];
  const { t, end } = owner();
  afterTest(t, () => ended.push("folder"));
  afterTest(t, () => {
    throw new Error("the server had errors");
  });
  afterTest(t, async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    ended.push("client");
  });
  await assert.rejects(end(), /the server had errors/);
  assert.deepEqual(ended, ["client", "folder"]);
});

test("each test ends what is its own", async () => {
  const ended: string[] = [];
  const [one, other] = [owner(), owner()];
  afterTest(one.t, () => ended.push("one"));
  afterTest(other.t, () => ended.push("other"));
  await other.end();
  assert.deepEqual(ended, ["other"]);
});

test("a program has ended when its folder is removed, though it does not do as it is told", async () => {
  for (const graceMs of [0, 50]) {
    const { t, end } = owner();
    const deaf = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
    const child = spawn(process.execPath, ["-e", deaf], { stdio: ["ignore", "pipe", "inherit"] });
    endAfterTest(t, child, graceMs);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    await end();
    assert.equal(child.signalCode, "SIGKILL");
    await end();
  }
});

test("a program that ends when it is told to is not killed", async () => {
  const { t, end } = owner();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await new Promise((resolve) => child.once("spawn", resolve));
  endAfterTest(t, child, 60_000);
  await end();
  assert.equal(child.signalCode, "SIGTERM");
});

const order: string[] = [];
await suite("a file among others", async () => {
  beginFile();
  after(() => order.push("registry"));
  test("in it", () => after(() => order.push("sink")));
});
test("what files begin ends after them, the last first", () => assert.deepEqual(order, ["sink", "registry"]));
