import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { content, describe, imageIndex } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";
import { assertRefused, call } from "./command-line.ts";

const registry = await startRegistry();
const environment = { STOWAGE_URL: registry.url };
const unknownDigest = `sha256:${"0".repeat(64)}`;

test("tags are listed, a line each, and deleted; what is not there is told, and exits with 1", async () => {
  const { manifest, digest } = await registry.pushImage("team/app", "v1", [content()]);
  for (const tag of ["v2", "v3"]) await registry.pushManifest("team/app", tag, manifest);
  const { code, stdout } = await call(["tag", "list", "team/app"], environment);
  assert.equal(code, 0);
  const line = new RegExp(`^v[123] +${digest} +image +200 B +20\\S+ +anonymous$`);
  const lines = stdout.trimEnd().split("\n").slice(1);
  assert(lines.length === 3 && lines.every((each) => line.test(each)), stdout);
  const json = await call(["tag", "list", "team/app", "--json"], environment);
  assert.deepEqual(
    JSON.parse(json.stdout).map((each: { tag: string; digest: string }) => [each.tag, each.digest]),
    ["v1", "v2", "v3"].map((tag) => [tag, digest]),
  );

  const some = await call(["tag", "delete", "team/app", "v1", "none", "v2", "--yes"], environment);
  assert.deepEqual(some, {
    code: 1,
    stdout: "",
    stderr: [
      `deleted team/app:v1; ${digest} stays: the tags v2, v3 still lead to it\n`,
      `deleted team/app:v2; ${digest} stays: the tag v3 still leads to it\n`,
      "stowage: team/app:none: there is no such tag\n",
    ].join(""),
  });
  const last = await call(["tag", "delete", "team/app", "v3", "v3", "--yes", "--json"], environment);
  assert.deepEqual([last.code, JSON.parse(last.stdout)], [0, { deleted: ["team/app:v3"], failed: [] }]);
  const none = await call(["tag", "list", "team/app"], environment);
  assert.deepEqual(none, { code: 0, stdout: "", stderr: "team/app has no tags\n" });
  const restored = await call(["restore", "team/app", "v3"], environment);
  assert.equal(restored.code, 0, restored.stderr);
});

test("a repository that is named like a list of another one is shown and deleted as itself", async () => {
  await registry.pushImage("team/named", "v1");
  await registry.pushImage("team/named/tags/v1", "inner");
  const listed = await call(["tag", "list", "team/named/tags/v1"], environment);
  assert.match(listed.stdout, /^inner /m);
  const deleted = await call(["repo", "delete", "team/named/tags/v1", "--yes"], environment);
  assert.equal(deleted.code, 0, deleted.stderr);
  await registry.must(200, "GET", "/v2/team/named/manifests/v1");
  await registry.must(404, "GET", "/v2/team/named/tags/v1/manifests/inner");
});

test("manifests are listed, tagged or not, and deleted with their tags", async () => {
  const image = await registry.pushImage("team/web", "v1", [content()]);
  const listed = await call(["manifest", "list", "team/web"], environment);
  assert.match(listed.stdout, new RegExp(`^${image.digest}  image +200 B +20\\S+ +anonymous +v1$`, "m"));
  const words = ["manifest", "delete", "team/web", image.digest, unknownDigest, "--yes"];
  const deleted = await call(words, environment);
  assert.deepEqual(deleted, {
    code: 1,
    stdout: "",
    stderr: `deleted team/web@${image.digest}\nstowage: team/web@${unknownDigest}: there is no such manifest\n`,
  });
  const none = await call(["manifest", "list", "team/web"], environment);
  assert.deepEqual(none, { code: 0, stdout: "", stderr: "team/web has no manifests\n" });

  const refused = await call(["restore", "team/web", "v1"], environment);
  assertRefused(
    refused,
    1,
    new RegExp(
      `^stowage: the manifest of team/web:v1 was deleted; bring it back first: stowage restore team/web ${image.digest}$`,
      "m",
    ),
  );
  const [, pasted = ""] = refused.stderr.trim().split("first: stowage ");
  const restored = await call(pasted.split(" "), environment);
  assert.match(restored.stderr, /is back in team\/web, with v1$/m);
  await registry.pullImage("team/web", "v1", image);
  assertRefused(await call(["restore", "team/web", "none"], environment), 1, /has nothing like that/);
});

test("what was deleted is listed, and a repository comes back, by what is printed", async () => {
  const image = await registry.pushImage("team/lost", "v1", [content()]);
  const gone = await registry.pushImage("team/lost", "v2", [content()]);
  await call(["manifest", "delete", "team/lost", gone.digest, "--yes"], environment);
  const time = "20\\S+Z";
  const listed = await call(["deleted", "team/lost"], environment);
  const line = `^manifest +team/lost@${gone.digest} v2 +${time} +anonymous +${time}$`;
  assert.match(listed.stdout, new RegExp(line, "m"));
  const deleted = await call(["repo", "delete", "team/lost", "--yes"], environment);
  const [, pasted = ""] = deleted.stderr.trim().split("restores it: ");
  assert.equal(pasted, "stowage restore team/lost");
  const all = await call(["deleted"], environment);
  const row = `^repository +team/lost \\(generation 1\\) +${time} +anonymous +${time}$`;
  assert.match(all.stdout, new RegExp(row, "m"));
  const json = await call(["deleted", "team/lost", "--json"], environment);
  assert.deepEqual(
    JSON.parse(json.stdout).map(({ name, what }: { name: string; what: string }) => [name, what]),
    [["team/lost", "repository"]],
  );
  const restored = await call(pasted.split(" ").slice(1), environment);
  assert.match(restored.stderr, new RegExp(`^repository team/lost is back, as it was on ${time}$`, "m"));
  await registry.pullImage("team/lost", "v1", image);
  assertRefused(await call(["restore", "team/lost"], environment), 1, /too long ago to be restored/);
  const none = await call(["deleted", "team/lost"], environment);
  assert.deepEqual(none, { code: 0, stdout: "", stderr: "nothing that was deleted can be restored\n" });
});

test("what makes no sense to restore is refused", async () => {
  const refusals: [args: string[], why: RegExp][] = [
    [["team/app", "--sequence", "1"], /--digest and --sequence are for tags/],
    [["team/app", "--generation", "x"], /"x" is no generation/],
    [["team/app", "v1", "--generation", "1"], /--generation is for repositories/],
    [["Team"], /no name of a repository/],
    [["team/app", "v1", "v2"], /restore takes \[REPOSITORY\] \[REFERENCE\]/],
    [[], /restore takes REPOSITORY \[REFERENCE\], or --since TIME/],
    [["team/app", "v1", "--since", "1h"], /--since is for all that was deleted/],
    [["--by", "policy"], /--by goes with --since/],
  ];
  for (const [args, why] of refusals) assertRefused(await call(["restore", ...args], environment), 2, why);
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

test("digests are short in a terminal, and whole where another program may read them", async () => {
  const { digest } = await registry.pushImage("team/short", "v1");
  const short = digest.slice(0, "sha256:".length + 12);
  for (const command of [
    ["tag", "list", "team/short"],
    ["manifest", "list", "team/short"],
    ["history", "team/short", "v1"],
  ]) {
    const seen = await call(command, environment, "", true);
    assert.match(seen.stdout, new RegExp(`\\b${short}(?: |$)`, "m"));
    const piped = await call(command, environment);
    assert.match(piped.stdout, new RegExp(`\\b${digest}\\b`));
    const json = await call([...command, "--json"], environment, "", true);
    assert.match(json.stdout, new RegExp(`"${digest}"`));
  }
});

test("a tag that never was has no history, and what still lists a manifest is told when its tag goes", async () => {
  const image = await registry.pushImage("team/multi", "v1");
  assertRefused(
    await call(["history", "team/multi", "v2"], environment),
    1,
    /^stowage: team\/multi has no tag v2, and has had none$/m,
  );
  const index = imageIndex([describe(image.manifest, imageManifestType)]);
  const digest = await registry.pushManifest("team/multi", "all", index, imageIndexType);
  const listed = await call(["tag", "delete", "team/multi", "v1", "--yes"], environment);
  assert.equal(
    listed.stderr,
    `deleted team/multi:v1; ${image.digest} stays: the index ${digest} still leads to it\n`,
  );
  const alone = await call(["tag", "delete", "team/multi", "all", "--yes"], environment);
  assert.equal(alone.stderr, `deleted team/multi:all; ${digest} stays: nothing else points at it\n`);
});
