/** A push while the ledger is overloaded: clients are told to come back, and docker does. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Writable } from "node:stream";
import test from "node:test";
import { startProxy } from "../../src/local/proxy/proxy.ts";
import { temporaryDirectory } from "../local/program.ts";
import { afterTest } from "../support/ends.ts";
import { startInstance } from "../support/miniflare/instance.ts";
import { buildImage, dockerPrograms, imageId, removeImages, startDocker } from "./support/docker.ts";
import { hasPrograms } from "./support/programs.ts";

/** docker tries each layer five times. */
const overloads = 3;

test("docker pushes while the ledger refuses blobs for a while, by its own retries", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  await using instance = await startInstance({
    entry: join(import.meta.dirname, "support", "overloaded-worker.ts"),
    dataDirectory: temporaryDirectory(t),
    stderr: new Writable({ write: (_chunk, _encoding, done) => done() }),
  });
  const upstreamPort = Number(new URL(instance.url).port);
  const proxy = await startProxy({
    identity: undefined,
    host: "127.0.0.1",
    port: 0,
    upstream: { host: "127.0.0.1", port: upstreamPort },
  });
  afterTest(t, () => proxy.stopListening());
  const docker = await startDocker(t);
  const name = `127.0.0.1:${proxy.port}/overload/image`;
  await buildImage(t, docker, name, [100_000, 50_000]);
  const id = await imageId(docker, name);

  await fetch(`${instance.url}/.test/overload/${overloads}`, { method: "POST" });
  await docker(["push", name]);
  const left = await fetch(`${instance.url}/.test/overload`);
  assert.equal(await left.json(), 0, "the ledger was overloaded meanwhile");
  await removeImages(docker, name);
  await docker(["pull", name]);
  assert.equal(await imageId(docker, name), id);
});
