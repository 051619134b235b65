/** The commands that are not about a registry's content: `serve`, `settings` and `health`. */
import assert from "node:assert/strict";
import test from "node:test";
import { settingTable } from "../../src/settings/table.ts";
import { startRegistry } from "../support/registry.ts";
import { answer, fakeRegistry } from "../unit/client/fake-registry.ts";
import { assertRefused, call } from "./command-line.ts";

test("serve passes on everything that follows it, also what other commands have flags for", async () => {
  for (const args of [[], ["--port", "0", "--help"], ["--version"], ["--var", "GC_GRACE=1h", "--url"]]) {
    const { code, stdout, stderr } = await call(["serve", ...args]);
    assert.deepEqual([code, stdout, stderr], [0, `serve ${args.join(" ")}\n`, ""]);
  }
});

test("settings has every setting, with its default, what it accepts and what it means", async () => {
  const { code, stdout, stderr } = await call(["settings"]);
  assert.deepEqual([code, stderr], [0, ""]);
  const paragraphs = stdout.split("\n\n").map((paragraph) => paragraph.trim().split("\n"));
  assert.deepEqual(
    paragraphs.map(([name]) => name),
    Object.values(settingTable).map(({ variable }) => variable),
  );
  const of = (name: string) => paragraphs.find(([first]) => first === name);
  assert.deepEqual(of("TOKEN_TTL"), [
    "TOKEN_TTL",
    "  how long a token lives",
    "  default: 5m",
    "  accepts: 1s to 1h",
  ]);
  assert.deepEqual(of("TOKEN_ISSUERS")?.[1], "  token services of others, as JSON: docs/access.md");
  const listed = JSON.parse((await call(["settings", "--json"])).stdout);
  assert.deepEqual(listed.length, paragraphs.length);
  assert.deepEqual(Object.keys(listed[0]), ["name", "default", "accepts", "meaning"]);
});

test("health says whether the registry is ready", async () => {
  const { url } = await startRegistry();
  const { code, stdout, stderr } = await call(["health", "--url", url]);
  assert.deepEqual([code, stdout, stderr], [0, "ready\n", ""]);
  const { stdout: json } = await call(["health", "--url", url, "--json"]);
  assert.equal(JSON.parse(json).status, "ok");
});

test("health fails where the registry is not ready, is none, or is not there", async () => {
  const { url } = await fakeRegistry((_, response) =>
    answer(response, 503, { "Content-Type": "application/json" }, { status: "unavailable" }),
  );
  const { code, stdout } = await call(["health", "--url", url.href]);
  assert.deepEqual([code, stdout], [1, "not ready\n"]);
  const { url: other } = await fakeRegistry((_, response) =>
    answer(response, 200, { "Content-Type": "text/html" }),
  );
  assertRefused(await call(["health", "--url", other.href]), 1, /does not answer as Stowage does/);
  assertRefused(
    await call(["health", "--url", "http://127.0.0.1:9"]),
    1,
    /cannot reach http:\/\/127\.0\.0\.1:9/,
  );
});
