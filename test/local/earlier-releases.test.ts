/** Whole data directories that earlier releases wrote, opened by the local server as it is now: see earlier-data/. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import test, { type TestContext } from "node:test";
import { dataVersions } from "../../src/data-versions.ts";
import { archives, earlierData } from "../support/earlier-data.ts";
import { adminPassword, check, type Facts, goOn, releaseVars } from "../support/release-data.ts";
import { rowsIn } from "../support/sqlite.ts";
import { ready, runtimes, startProgram } from "./program.ts";

const main = join("src", "local", "main.ts");

/** Runs the server on a data directory, while somebody works with it. */
async function withServer(t: TestContext, data: string, work: (url: string) => Promise<void>): Promise<void> {
  const flags = [
    "--port",
    "0",
    "--data",
    data,
    "--log",
    "none",
    ...releaseVars.flatMap((each) => ["--var", each]),
  ];
  const env = { ADMIN_PASSWORD: adminPassword };
  const server = startProgram(t, [...runtimes.node, main, ...flags], { data, env });
  await work(await ready(server));
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.ended, { code: 0, signal: null }, server.stderr);
}

const releases = globSync("*.json", { cwd: archives }).map((file) => basename(file, ".json"));
assert(releases.length > 0);

for (const release of releases) {
  test(`the data of ${release} is opened, served and gone on with, and so again`, async (t) => {
    const data = earlierData(`${release}.tar.gz`);
    const facts: Facts = JSON.parse(readFileSync(join(archives, `${release}.json`), "utf8"));
    let since: string[] = [];
    await withServer(t, data, async (url) => {
      await check(url, facts);
      const { tag, isUploadEnded } = await goOn(url, facts);
      t.diagnostic(isUploadEnded ? "the upload was ended" : "the upload had expired");
      since = [tag];
    });
    await withServer(t, data, (url) => check(url, facts, since));
    // Its release would not find the files that were written since.
    const shards = globSync(join(data, "do", "stowage-Blobs", "*.sqlite"));
    const versions = shards.map((file) => rowsIn(file, "schema_version").map((row) => Object(row).version));
    assert(versions.flat().includes(dataVersions.Blobs), JSON.stringify(versions));
    assert(globSync(join(data, "files", "wholes", "*")).length > 0);
    assert(globSync(join(data, "files", "blobs", "*", "whole")).length > 0);
  });
}
