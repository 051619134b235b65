import assert from "node:assert/strict";
import test from "node:test";
import { content } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { assertRefused, call } from "./command-line.ts";

const registry = await startRegistry();
const environment = { STOWAGE_URL: registry.url };
const unknownDigest = `sha256:${"0".repeat(64)}`;

test("tags are listed, a line each, and deleted; what is not there is told, and exits with 1", async () => {
  const { manifest } = await registry.pushImage("team/app", "v1", [content()]);
  for (const tag of ["v2", "v3"]) await registry.pushManifest("team/app", tag, manifest);
  const listed = await call(["tag", "list", "team/app"], environment);
  assert.deepEqual(listed, { code: 0, stdout: "v1\nv2\nv3\n", stderr: "" });
  const json = await call(["tag", "list", "team/app", "--json"], environment);
  assert.deepEqual(JSON.parse(json.stdout), ["v1", "v2", "v3"]);

  const some = await call(["tag", "delete", "team/app", "v1", "none", "v2", "--yes"], environment);
  assert.deepEqual(some, {
    code: 1,
    stdout: "",
    stderr: "deleted team/app:v1\ndeleted team/app:v2\nstowage: team/app:none: there is no such tag\n",
  });
  const last = await call(["tag", "delete", "team/app", "v3", "v3", "--yes", "--json"], environment);
  assert.deepEqual([last.code, JSON.parse(last.stdout)], [0, { deleted: ["team/app:v3"], failed: [] }]);
  const none = await call(["tag", "list", "team/app"], environment);
  assert.deepEqual(none, { code: 0, stdout: "", stderr: "there are no tags\n" });
  const restored = await call(["restore", "team/app", "v3"], environment);
  assert.equal(restored.code, 0, restored.stderr);
});

test("manifests are listed, tagged or not, and deleted with their tags", async () => {
  const image = await registry.pushImage("team/web", "v1", [content()]);
  const listed = await call(["manifest", "list", "team/web"], environment);
  assert.match(listed.stdout, new RegExp(`^${image.digest}  \\d+ B +20\\S+ +application/\\S+ +v1$`, "m"));
  const words = ["manifest", "delete", "team/web", image.digest, unknownDigest, "--yes"];
  const deleted = await call(words, environment);
  assert.deepEqual(deleted, {
    code: 1,
    stdout: "",
    stderr: `deleted team/web@${image.digest}\nstowage: team/web@${unknownDigest}: there is no such manifest\n`,
  });
  const none = await call(["manifest", "list", "team/web"], environment);
  assert.deepEqual(none, { code: 0, stdout: "", stderr: "there are no manifests\n" });

  const refused = await call(["restore", "team/web", "v1"], environment);
  assertRefused(
    refused,
    1,
    new RegExp(`^stowage: the manifest of v1 was deleted: restore team/web ${image.digest}$`, "m"),
  );
  const restored = await call(refused.stderr.trim().split(" ").slice(-3), environment);
  assert.match(restored.stderr, /is back in team\/web, with v1$/m);
  await registry.pullImage("team/web", "v1", image);
  assertRefused(await call(["restore", "team/web", "none"], environment), 1, /has nothing like that/);
});

test("a repository that is unknown, or a registry that is away, is told for what it is", async () => {
  const unknown = /the registry has no such repository/;
  assertRefused(await call(["tag", "list", "team/none"], environment), 1, unknown);
  assertRefused(await call(["tag", "delete", "team/none", "v1", "--yes"], environment), 1, unknown);
  const away = { STOWAGE_URL: "http://127.0.0.1:9" };
  const { code, stderr } = await call(["tag", "delete", "team/app", "v1", "v2", "--yes"], away);
  assert.equal(code, 1);
  assert.match(stderr, /^stowage: team\/app:v1: cannot reach .*\nstowage: not tried: team\/app:v2\n$/);
});
