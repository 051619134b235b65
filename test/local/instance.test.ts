import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import test from "node:test";
import { afterTest } from "../support/ends.ts";
import { startInstance } from "../support/miniflare/instance.ts";
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
    assert.equal(await (await fetch(`${url}/visit`)).json(), 1);
  }
  const settings: Record<string, unknown> = await (await fetch(`${second.url}/settings`)).json();
  assert.equal(settings.ACCESS, "closed");
  assert.equal(settings.LEASE_TTL, "5s");
  await fetch(`${first.url}/log`);
  await until("the log line", () => logged === '{"event":"æøå","n":1}\n');
});

test("events do not get to a private address, also where a name leads there", async (t) => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(t, () => server.close());
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  // What the runtime says of a connection that it does not make is expected here.
  const stderr = new PassThrough().resume();
  await using instance = await startInstance({ vars: { LOG_FORMAT: "none" }, stderr });
  const { WEBHOOK_OUTBOUND: outbound } = await instance.miniflare.getBindings<{
    WEBHOOK_OUTBOUND: { fetch(url: string): Promise<unknown> };
  }>();
  for (const host of ["127.0.0.1", "localhost"])
    await assert.rejects(outbound.fetch(`http://${host}:${port}/`));
  assert.equal(asked, 0);
});
