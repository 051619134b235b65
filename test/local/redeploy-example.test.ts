/** The listener of examples/redeploy by itself: what it deploys, and from where. test/clients has it with real clients. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { type TestContext } from "node:test";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { endAfterTest } from "../support/ends.ts";
import { temporaryDirectory } from "./program.ts";

const secret = "between the registry and the listener";
const listen = join(projectDirectory, "examples", "redeploy", "listen.mjs");

/** Starts the listener; what its script prints are its lines. */
async function startListener(t: TestContext, env: Record<string, string>) {
  const script = join(temporaryDirectory(t), "deploy.sh");
  await writeFile(script, 'echo "$IMAGE"\n');
  const child = spawn(process.execPath, [listen, "sh", script], {
    env: { PATH: process.env.PATH, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  endAfterTest(t, child);
  return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

test("what it pulls is in its own registry, whatever host an event names", async (t) => {
  const { lines } = await startListener(t, { WEBHOOK_SECRET: secret, REGISTRY: "registry.example:5000" });
  const [address] = /[\d.]+:\d+$/.exec(String((await lines.next()).value)) ?? [];
  for (const [index, host] of ["evil.example", "", undefined].entries()) {
    const target = { repository: "shop/app", tag: "v1", digest: `sha256:${index}`, url: `https://${host}/` };
    const event = { id: String(index), action: "push", target, request: { host }, source: { addr: host } };
    const body = JSON.stringify({ events: [event] });
    const seconds = Math.floor(Date.now() / 1000);
    const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
    const headers = { "Stowage-Signature": `t=${seconds},v1=${mac}` };
    const answer = await fetch(`http://${address}/`, { method: "POST", headers, body });
    assert.equal(answer.status, 204);
    assert.equal((await lines.next()).value, `registry.example:5000/shop/app@sha256:${index}`);
  }
});

test("it does not start without one", { timeout: 10_000 }, async (t) => {
  const { child } = await startListener(t, { WEBHOOK_SECRET: secret });
  const [code] = await once(child, "exit");
  assert.equal(code, 2);
});
