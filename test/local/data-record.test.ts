import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { recordDataVersions } from "../../src/local/data-record.ts";
import { ready, runtimes, startProgram, temporaryDirectory } from "./program.ts";

test("a data directory keeps the highest versions of its data, and an earlier release is told", (t) => {
  const directory = temporaryDirectory(t);
  const record = () => JSON.parse(readFileSync(join(directory, "data-versions"), "utf8"));
  assert.equal(recordDataVersions(directory, { Upload: 3, Catalog: 4 }), undefined);
  assert.equal(recordDataVersions(directory, { Upload: 3, Catalog: 5 }), undefined);
  assert.deepEqual(record(), { Upload: 3, Catalog: 5 });
  assert.match(recordDataVersions(directory, { Upload: 4, Catalog: 4 }) ?? "", /\(Catalog\)/);
  assert.deepEqual(record(), { Upload: 4, Catalog: 5 });
  assert.equal(recordDataVersions(directory, { Upload: 4, Catalog: 5 }), undefined);
});

test("a class that only a later release has is named, too", (t) => {
  const directory = temporaryDirectory(t);
  recordDataVersions(directory, { Upload: 3, Signature: 1 });
  assert.match(recordDataVersions(directory, { Upload: 3 }) ?? "", /\(Signature\)/);
});

test("a record that cannot be read is replaced", (t) => {
  const directory = temporaryDirectory(t);
  for (const text of ["", "{", "null", '{"Upload":"x"}']) {
    writeFileSync(join(directory, "data-versions"), text);
    assert.equal(recordDataVersions(directory, { Upload: 3 }), undefined, text);
  }
});

test("the server says at its start that a later release has run on the data, and serves", async (t) => {
  const data = temporaryDirectory(t);
  writeFileSync(join(data, "data-versions"), '{"Repository":1000}');
  writeFileSync(join(data, "bucket"), "disk shards=1\n");
  const main = join("src", "local", "main.ts");
  const flags = ["--port", "0", "--data", data, "--log", "none"];
  const server = startProgram(t, [...runtimes.node, main, ...flags], { data });
  const url = await ready(server);
  assert.match(server.stderr, /a later release has run on the data directory/);
  assert.equal((await fetch(`${url}/v2/`)).status, 200);
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null }, server.stderr);
});
