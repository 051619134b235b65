/** Going back a release: data that a later one has changed so that this one cannot read it. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { type Answer, expectError, expectProblem } from "../support/answer.ts";
import { content, digestOf } from "../support/content.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";
import { rowsIn } from "../support/sqlite.ts";
import { temporaryData } from "../support/temporary.ts";

const entry = join(import.meta.dirname, "..", "support", "later-data-worker.ts");
const laterVersion = 1000;
const dataDirectory = temporaryData();
const start = () => startRegistry({ dataDirectory, entry });

/** The database files of a class's objects. */
const filesOf = (kind: string) =>
  globSync(join(dataDirectory, `do/stowage-${kind}/*.sqlite`)).filter(
    (file) => rowsIn(file, "schema_version").length > 0,
  );

function ledgerFile(name: string): string {
  const isOf = (file: string) => JSON.stringify(rowsIn(file, "meta")).includes(`"${name}"`);
  const file = filesOf("Repository").find(isOf);
  assert(file !== undefined);
  return file;
}

function write(file: string, statement: string): void {
  const database = new DatabaseSync(file);
  database.exec(statement);
  database.close();
}

/** Does to data what a later release does, and returns what undoes it. Nothing else of its data can be read. */
function makeLater(files: string[]): () => void {
  assert(files.length > 0);
  const versions = files.map((file) => (rowsIn(file, "schema_version") as { version: number }[])[0]?.version);
  const tables = (file: string) =>
    (rowsIn(file, "sqlite_master") as { type: string; name: string }[]).flatMap(({ type, name }) =>
      type === "table" && !/^(_|sqlite_|schema_version)/.test(name) ? [name] : [],
    );
  const renamed = new Map(files.map((file) => [file, tables(file)]));
  for (const [file, names] of renamed) {
    write(file, `UPDATE schema_version SET version = ${laterVersion}`);
    for (const name of names) write(file, `ALTER TABLE ${name} RENAME TO later_${name}`);
  }
  return () => {
    for (const [index, file] of files.entries()) {
      write(file, `UPDATE schema_version SET version = ${versions[index]}`);
      for (const name of renamed.get(file) ?? []) write(file, `ALTER TABLE later_${name} RENAME TO ${name}`);
    }
  };
}

function expectLaterData(answer: Answer): void {
  assert.match(expectError(answer, 503, "UNAVAILABLE").message, /^a later release of the registry wrote/);
}

type Health = { status: string; warning?: string; laterData?: { kind: string; objects: number }[] };

async function health(registry: TestRegistry): Promise<Health> {
  return (await registry.must(200, "GET", "/healthz")).json<Health>();
}

const earlier = await start();
const layer = content();
const image = await earlier.pushImage("team/app", "v1", [layer]);
const other = await earlier.pushImage("team/web", "v1");
assert.equal((await health(earlier)).warning, undefined);
await earlier.end();

test("a ledger with later data answers every call with 503, keeps its alarm, and is as before afterwards", async () => {
  const file = ledgerFile("team/app");
  const restore = makeLater([file]);
  const registry = await start();

  expectLaterData(await registry.get("/v2/team/app/tags/list"));
  expectLaterData(await registry.get("/v2/team/app/manifests/v1"));
  expectLaterData(await registry.putManifest("team/app", "v2", image.manifest));
  expectLaterData(await registry.send("DELETE", "/v2/team/app/manifests/v1"));
  const opened = await registry.send("POST", "/v2/team/app/blobs/uploads/", { body: "" });
  const location = opened.header("Location");
  const bytes = content();
  expectLaterData(await registry.send("PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes }));
  const details = await registry.get("/api/v1/repositories/team/app/manifests");
  expectProblem(details, 503, "LATER_DATA");

  // What has nothing to do with it goes on.
  await registry.pullImage("team/web", "v1", other);
  await registry.pushImage("team/new", "v1");

  const before = Date.now();
  const next = await (await fetch(`${registry.url}/.ring/${encodeURIComponent("team/app")}`)).json();
  assert(typeof next === "number" && next > before + 60_000, `the next alarm comes at ${next}`);

  const { status, warning = "", laterData } = await health(registry);
  assert.equal(status, "ok");
  assert.match(warning, /^a later release of the registry wrote/);
  assert.deepEqual(laterData, [{ kind: "Repository", objects: 1 }]);

  await registry.end();
  restore();
  const again = await start();
  await again.pullImage("team/app", "v1", image);
  await again.pushImage("team/app", "v2");
  await again.end();
});

test("an upload with later data answers with 503, and goes on afterwards where it was", async () => {
  const bytes = content(3000);
  const registry = await start();
  const location = await registry.patch(await registry.openUpload("team/app"), bytes.subarray(0, 1000));
  await registry.end();
  const restore = makeLater(filesOf("Upload"));
  const back = await start();
  expectLaterData(await back.send("PATCH", location, { body: bytes.subarray(1000) }));
  expectLaterData(await back.get(location));
  await back.end();
  restore();
  const again = await start();
  assert.equal(await again.uploadOffset(location), 1000);
  await again.end();
});

test("a shard with later data refuses pushes, and lets pulls go on", async () => {
  const restore = makeLater(filesOf("Blobs"));
  const registry = await start();
  await registry.pullImage("team/web", "v1", other);
  const whole = `/v2/team/other/blobs/uploads/?digest=${digestOf(layer)}`;
  expectLaterData(await registry.send("POST", whole, { body: layer }));
  assert((await health(registry)).laterData?.some(({ kind }) => kind === "Blobs"));
  await registry.end();
  restore();
});

test("where the catalog has later data, that is said", async () => {
  const restore = makeLater(filesOf("Catalog"));
  const registry = await start();
  assert.deepEqual((await health(registry)).laterData, [{ kind: "Catalog", objects: 1 }]);
  assert.equal((await fetch(`${registry.url}/readyz`)).status, 503);
  await registry.end();
  restore();
});
