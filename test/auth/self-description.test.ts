/** What the registry says of itself to those who have no credential, and of requests to those who read its log. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { version } from "../../src/version.ts";
import { until } from "../local/program.ts";
import { basic, type Credential } from "../support/client.ts";
import { admin, startClosedRegistry } from "../support/closed-registry.ts";
import { startInstance } from "../support/miniflare/instance.ts";

type Line = Record<string, unknown>;

const registry = await startClosedRegistry({ LOG_PROBES: "no" });

describe("the root says what this is", () => {
  test("to everybody, in a sentence", async () => {
    const answer = await registry.must(200, "GET", "/");
    assert.equal(answer.header("Content-Type"), "text/plain; charset=utf-8");
    assert.match(answer.text, new RegExp(`^This is Stowage ${version.replaceAll(".", "\\.")}, [^\n]+\\.\n$`));
    assert.equal((await registry.must(200, "HEAD", "/")).text, "");
    await registry.must(405, "POST", "/");
  });

  test("to programs, as JSON", async () => {
    const answer = await registry.must(200, "GET", "/", { headers: { Accept: "application/json" } });
    assert.deepEqual(answer.json(), { name: "stowage", version, api: "/v2/" });
    assert.equal(answer.header("Vary"), "Accept");
  });

  test("also where nobody can be let in", async () => {
    const none = await startClosedRegistry({ ADMIN_PASSWORD: "", ACCESS: "closed" }, { hasAdmin: false });
    await none.must(200, "GET", "/");
  });
});

test("a deployment whose password is too short names the variable, and not the password", async () => {
  const password = "eleven char";
  let logged = "";
  const stderr = new Writable({
    write(chunk, _, done) {
      logged += String(chunk);
      done();
    },
  });
  await using wrong = await startInstance({ vars: { ADMIN_PASSWORD: password }, stderr });
  const headers = { Authorization: basic("admin", password) };
  for (const path of ["/", "/v2/", "/api/v1/accounts"]) {
    const answer = await fetch(`${wrong.url}${path}`, { headers });
    assert.equal(answer.status, 500);
    assert.match(await answer.text(), /the variable ADMIN_PASSWORD has a wrong value/);
  }
  await until("the reason", () => logged.includes("it has 11 characters"));
  assert(!logged.includes(password) && !logged.includes('"stack"'), logged);
});

/** The lines of the log about what was asked, which ends with a request for nothing that there is. */
async function linesOf(asked: [method: string, path: string, as?: Credential][]): Promise<Line[]> {
  const start = registry.log.length;
  for (const [method, path, as] of asked) await registry.send(method, path, { as });
  const end = `/end-${start}`;
  await registry.send("GET", end);
  await until("the last line", () => registry.log.includes(end));
  const lines: Line[] = registry.log
    .slice(start, registry.log.indexOf("\n", registry.log.indexOf(end)))
    .split("\n")
    .map((line) => JSON.parse(line));
  return lines.slice(0, -1);
}

test("a request for nothing that there is is logged with its path, cut, and without its query", async () => {
  const lines = await linesOf([
    ["GET", "/v1/_ping?token=secret-0123456789"],
    ["GET", `/${"x".repeat(5000)}`],
    ["GET", "/v2/team/app/tags/list"],
  ]);
  assert.deepEqual(
    lines.map(({ route, path, status }) => [route, path, status]),
    [
      ["none", "/v1/_ping", 404],
      ["none", `/${"x".repeat(298)}…`, 404],
      ["tags", undefined, 401],
    ],
  );
});

test("probes that are answered well have no line, if that was asked for", async () => {
  const lines = await linesOf([
    ["GET", "/healthz"],
    ["HEAD", "/readyz"],
    ["GET", "/metrics", admin],
    ["GET", "/metrics"],
    ["POST", "/healthz"],
    ["GET", "/"],
  ]);
  assert.deepEqual(
    lines.map(({ method, route, status }) => [method, route, status]),
    [
      ["GET", "metrics", 401],
      ["POST", "health", 405],
      ["GET", "root", 200],
    ],
  );
});
