import assert from "node:assert/strict";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import test from "node:test";
import { startInstance } from "../../src/local/instance.ts";
import { until } from "./program.ts";

test("instances in one process have data, output and variables of their own", async () => {
  const entry = join(import.meta.dirname, "fixture-worker.ts");
  let logged = "";
  const stdout = new PassThrough().setEncoding("utf8").on("data", (text: string) => {
    logged += text;
  });
  await using first = await startInstance({ entry, stdout });
  await using second = await startInstance({ entry, vars: { ACCESS: "closed", LEASE_TTL: "5s" } });
  assert.notEqual(first.url, second.url);
  for (const { url } of [first, second]) {
    assert.deepEqual(await (await fetch(`${url}/visit`)).json(), [1, 1, 1]);
  }
  const settings: Record<string, unknown> = await (await fetch(`${second.url}/settings`)).json();
  assert.equal(settings.ACCESS, "closed");
  assert.equal(settings.LEASE_TTL, "5s");
  await fetch(`${first.url}/log`);
  await until("the log line", () => logged === '{"event":"æøå","n":1}\n');
});
