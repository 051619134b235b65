import assert from "node:assert/strict";
import test from "node:test";
import { startRegistry } from "../support/registry.ts";
import { assertRefused, call } from "./command-line.ts";

const password = "correct-horse-battery";
// Leases of a second, so that the command has to wait for no more.
const registry = await startRegistry({ vars: { ADMIN_PASSWORD: password, LEASE_TTL: "1s" } });
const environment = { STOWAGE_URL: registry.url, STOWAGE_PASSWORD: password };
const headers = { Authorization: `Basic ${btoa(`admin:${password}`)}` };

/** Pushes an image without blobs of its own, and deletes it; returns its digest. */
async function deletedManifest(repository: string): Promise<string> {
  const type = "application/vnd.oci.image.index.v1+json";
  const body = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] });
  const path = `/v2/${repository}/manifests`;
  const put = await registry.must(201, "PUT", `${path}/v1`, {
    headers: { ...headers, "Content-Type": type },
    body,
  });
  const digest = put.header("Docker-Content-Digest");
  await registry.must(202, "DELETE", `${path}/${digest}`, { headers });
  return digest;
}

test("gc --now says what cannot be restored afterwards, and does nothing unless that is confirmed", async () => {
  const digest = await deletedManifest("team/app");
  for (const stdin of ["", "no\n", "y\n"]) {
    const { code, stdout, stderr } = await call(["gc", "--now"], environment, stdin);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /this can still be restored, and not any more after that/);
    assert(stderr.includes(`team/app@${digest}  v1`), stderr);
    assert.match(stderr, /nothing was deleted/);
  }
  const restored = await call(["restore", "team/app", digest], environment);
  assert.equal(restored.code, 0, restored.stderr);
});

test("gc --now ends what could be restored: after yes, or with --yes unasked", async () => {
  for (const [args, stdin] of [
    [["gc", "--now"], "yes\n"],
    [["gc", "--now", "--yes"], ""],
  ] as const) {
    const digest = await deletedManifest("team/other");
    const outcome = await call([...args], environment, stdin);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(outcome.stdout, /^deleted: /m);
    assertRefused(await call(["restore", "team/other", digest], environment), 1, /no manifest/);
  }
  const { stdout } = await call(["audit", "--json", "--kind", "administration"], environment);
  const actions = (JSON.parse(stdout) as { action: string }[]).map(({ action }) => action);
  assert.equal(actions.filter((action) => action === "gc.now").length, 2);
});

test("gc refuses --yes without --now", async () => {
  assertRefused(await call(["gc", "--yes"], environment), 2, /--yes is for --now/);
});
