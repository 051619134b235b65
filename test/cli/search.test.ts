import assert from "node:assert/strict";
import test from "node:test";
import { pushMultiPlatform } from "../browser/support/sample.ts";
import { startRegistry, until } from "../support/registry.ts";
import { call } from "./command-line.ts";

const registry = await startRegistry();
const environment = { STOWAGE_URL: registry.url };
const digest = await pushMultiPlatform(registry, "team/shop", ["v1.4.0", "latest"]);
await registry.pushImage("data/etl", "v1");
await until("both to be found", async () => {
  const { stdout } = await call(["search", "e", "--json"], environment);
  return JSON.parse(stdout || "[]").length === 1;
});

test("repositories are found, a line each, and tags by their beginning", async () => {
  const found = await call(["search", "shop"], environment);
  assert.match(found.stdout, /^NAME .*\nteam\/shop +private +2 +\S+ \S+ +0 +20\S+ +anonymous +index\n$/);
  const tags = await call(["search", "team/shop:v1"], environment);
  assert.equal(tags.stdout.split("\n")[1]?.replace(/ +/, " "), `team/shop:v1.4.0 ${digest}`);
  const none = await call(["search", "nothing-like-it"], environment);
  assert.deepEqual([none.code, none.stdout], [0, ""]);
  assert.match(none.stderr, /no repositories match/);
  const charts = await call(["search", "shop", "--kind", "chart", "--json"], environment);
  assert.deepEqual(JSON.parse(charts.stdout), []);
});

test("a tag shows its layers with their commands, by platform, and what is attached", async () => {
  const shown = await call(["tag", "show", "team/shop", "v1.4.0", "--platform", "linux/arm64"], environment);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^content: +index$/m);
  assert.match(shown.stdout, /^tags: +latest, v1.4.0$/m);
  assert.match(shown.stdout, /^image: +sha256:[0-9a-f]{64} \(linux\/arm64\)$/m);
  assert.match(shown.stdout, /^layer: +\S+ \S+ +RUN \/bin\/sh -c npm ci --omit=dev # buildkit$/m);
  assert.match(shown.stdout, /^attached: +attestation +sha256:\S+ +https:\/\/spdx.dev\/Document, /m);
  const absent = await call(["tag", "show", "team/shop", "v9"], environment);
  assert.equal(absent.code, 1);
});

test("a repository shows its size, content, platforms and what one may do", async () => {
  const { stdout } = await call(["repo", "show", "team/shop"], environment);
  assert.match(stdout, /^tags: +2$/m);
  assert.match(stdout, /^platforms: +linux\/amd64, linux\/arm64$/m);
  assert.match(stdout, /^you may: +pull, push, delete, admin$/m);
});
