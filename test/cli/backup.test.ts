import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import test from "node:test";
import { Progress } from "../../src/cli/progress.ts";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import type { Client } from "../support/client.ts";
import { content, describe, digestOf, imageIndex } from "../support/content.ts";
import { afterTest } from "../support/ends.ts";
import { after } from "../support/ends-of-files.ts";
import { startRegistry, until } from "../support/registry.ts";
import { assertRefused, call } from "./command-line.ts";

const directory = mkdtempSync(join(tmpdir(), "stowage-backup-"));
after(() => rmSync(directory, { recursive: true, force: true }));
// Blobs of several parts are read faster from the disk; bytes are lost and damaged more simply in R2.
const [original, restored] = await Promise.all([
  startRegistry({ bucket: "disk" }),
  startRegistry({ bucket: "r2" }),
]);

async function json<T>(client: Client, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await call([...args, "--json"], { STOWAGE_URL: client.url });
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

type Exported = {
  repositories: number;
  manifests: number;
  blobs: number;
  fetched: number;
  missing: object[];
};
type Listed = { digest: string; mediaType: string; size: number; tags: string[]; pushedAt: string };

/** Everything that a client sees of a registry's content: bytes by their digests, tags, referrers. */
async function everythingOf(client: Client): Promise<unknown> {
  const { repositories } = (await client.must(200, "GET", "/v2/_catalog")).json<{ repositories: string[] }>();
  const all = [];
  for (const name of repositories) {
    const listed = await client.must(200, "GET", `/api/v1/repositories/${name}/manifests`);
    const { tags } = (await client.must(200, "GET", `/v2/${name}/tags/list`)).json<{ tags: string[] }>();
    const manifests = [];
    for (const { pushedAt: _, ...manifest } of listed.json<{ manifests: Listed[] }>().manifests) {
      const { bytes } = await client.must(200, "GET", `/v2/${name}/manifests/${manifest.digest}`);
      assert.equal(digestOf(bytes), manifest.digest);
      const referrers = (await client.must(200, "GET", `/v2/${name}/referrers/${manifest.digest}`)).json();
      manifests.push({ manifest, referrers });
    }
    all.push({ name, tags, manifests });
  }
  return all;
}

const big = content(9 * 1024 * 1024);

test("what was exported and imported elsewhere is the same: digests, tags, referrers", async () => {
  const layer = content();
  const image = await original.pushImage("team/app", "v1", [layer, big]);
  await original.pushManifest("team/app", "latest", image.manifest);
  const arm = await original.pushImage("team/app", "arm", [layer]);
  const children = [image, arm].map(({ manifest }) => describe(manifest, imageManifestType));
  await original.pushManifest("team/app", "multi", imageIndex(children), imageIndexType);
  const subject = describe(image.manifest, imageManifestType);
  const signature = imageIndex([], { subject, artifactType: "application/vnd.example.signature" });
  await original.pushManifest("team/app", digestOf(signature), signature, imageIndexType);
  await original.pushManifest(
    "team/app",
    "of-signature",
    imageIndex([], { subject: describe(signature, imageIndexType) }),
    imageIndexType,
  );
  // A repository below another one, and one named as what a layout has.
  await original.pushImage("team", "v1", [layer]);
  const tagged = await original.pushImage("team/index.json", "v1", [content(0)]);
  const { tags } = await json<{ tags: string[] }>(original, "restore", "team/index.json", tagged.digest);
  assert.deepEqual(tags, []);
  const change = { visibility: "public", description: "The app", readme: "# App\n\n* one\n" };
  await original.must(200, "PATCH", "/api/v1/repositories/team/app", { body: JSON.stringify(change) });

  const exported = await json<Exported>(original, "export", directory);
  assert.deepEqual([exported.repositories, exported.manifests, exported.missing], [3, 7, []]);
  await json(restored, "import", directory);
  assert.deepEqual(await everythingOf(restored), await everythingOf(original));
  await restored.pullImage("team/app", "v1", image);
  type View = { name: string; visibility: string; description: string };
  const view = ({ name, visibility, description }: View) => [name, visibility, description];
  const [from, to] = await Promise.all(
    [original, restored].map((each) => json<View[]>(each, "repo", "list")),
  );
  assert.deepEqual(to?.map(view), from?.map(view));
  const written = await restored.must(200, "GET", "/api/v1/repositories/team/app");
  assert.equal(written.json<{ readme: string }>().readme, change.readme);
});

test("a second export fetches what is new and nothing else; a second import pushes nothing else", async () => {
  assert.equal((await json<Exported>(original, "export", directory)).fetched, 0);
  const image = await original.pushImage("team/app", "v2", [content()]);
  assert.equal((await json<Exported>(original, "export", directory, "--repository", "team/app")).fetched, 3);
  type Imported = { pushed: number; blobs: number };
  const { pushed, blobs } = await json<Imported>(restored, "import", directory);
  assert.deepEqual([pushed, blobs], [1, 2]);
  await restored.pullImage("team/app", "v2", image);
});

test("what was lost or damaged comes back from a backup, for all repositories", async () => {
  const bucket = await restored.bucket();
  const keys = restored.stored.blobKeys();
  for (const [index, key] of keys.entries()) {
    const { size = 0 } = (await bucket.head(key)) ?? {};
    if (index % 2 === 0) await bucket.delete(key);
    else await bucket.put(key, new Uint8Array(size));
  }
  const damaged = await call(["scrub"], { STOWAGE_URL: restored.url });
  assert.equal(damaged.code, 1, damaged.stdout);
  await json(restored, "import", directory, "--force");
  await call(["scrub"], { STOWAGE_URL: restored.url });
  const { problems } = await json<{ problems: object[] }>(restored, "scrub");
  assert.deepEqual(problems, []);
});

test("it is an image layout as the specification has it", () => {
  const layout = join(directory, "team", "app");
  assert.deepEqual(JSON.parse(readFileSync(join(layout, "oci-layout"), "utf8")), {
    imageLayoutVersion: "1.0.0",
  });
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  assert.deepEqual([index.schemaVersion, index.mediaType], [2, imageIndexType]);
  const names = index.manifests.map((each: { annotations?: Record<string, string> }) => {
    return each.annotations?.["org.opencontainers.image.ref.name"] ?? "";
  });
  assert.deepEqual(names.sort(), ["", "arm", "latest", "multi", "of-signature", "v1", "v2"]);
  for (const { digest, size } of index.manifests) {
    assert.equal(statSync(join(layout, "blobs", digest.replace(":", "/"))).size, size);
  }
  for (const file of readdirSync(join(layout, "blobs", "sha256"))) {
    assert.equal(digestOf(readFileSync(join(layout, "blobs", "sha256", file))), `sha256:${file}`);
  }
  assert(!readdirSync(layout).some((name) => name.endsWith(".partial")));
});

test("an import goes through links, leaves alone what is no layout's, and names what it cannot read", async (t) => {
  const volume = mkdtempSync(join(tmpdir(), "stowage-backup-"));
  const elsewhere = mkdtempSync(join(tmpdir(), "stowage-backup-"));
  afterTest(t, () => {
    for (const each of [volume, elsewhere]) rmSync(each, { recursive: true, force: true });
  });
  symlinkSync(elsewhere, join(volume, "linked"));
  const image = await original.pushImage("linked/app", "v1", [content()]);
  await json(original, "export", volume, "--repository", "linked/app");
  assert(existsSync(join(elsewhere, "app", "oci-layout")), "export writes through the link");
  symlinkSync(volume, join(elsewhere, "back"));
  symlinkSync(join(volume, "nothing"), join(volume, "dangling"));
  // Nobody can read these links, nor can root.
  for (const name of ["lost+found", "unread"]) symlinkSync(name, join(volume, name));
  const { code, stdout, stderr } = await call(["import", volume, "--json"], { STOWAGE_URL: restored.url });
  assert.equal(code, 1);
  const { repositories, failed } = JSON.parse(stdout);
  assert.deepEqual([repositories, failed.length, failed[0].name], [1, 1, "unread"], stdout);
  assert.match(stderr, /^stowage: unread: ELOOP/);
  await restored.pullImage("linked/app", "v1", image);
  const only = await json<{ repositories: number }>(restored, "import", volume, "--repository", "linked/app");
  assert.equal(only.repositories, 1);
});

test("a layout whose bytes are not those of their digest is refused by the registry", async () => {
  const copy = mkdtempSync(join(tmpdir(), "stowage-backup-"));
  after(() => rmSync(copy, { recursive: true, force: true }));
  const image = await original.pushImage("bad", "v1", [content()]);
  await json(original, "export", copy, "--repository", "bad");
  writeFileSync(join(copy, "bad", "blobs", image.config.replace(":", "/")), "other");
  const refused = await call(["import", copy], { STOWAGE_URL: restored.url });
  assert.equal(refused.code, 1);
  const [done, reason] = refused.stderr.split("\n");
  assert.equal(done, "0 of 1 repository: 0 of 1 manifest and 0 blobs pushed");
  assert(reason?.startsWith(`stowage: bad: blob ${image.config}: the digest is malformed, `), reason);
  assertRefused(
    await call(["import", join(copy, "none")], { STOWAGE_URL: restored.url }),
    1,
    /cannot read .*none: /,
  );
  writeFileSync(join(copy, "bad", "index.json"), "[");
  const broken = await call(["import", copy], { STOWAGE_URL: restored.url });
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /^stowage: bad: .*index\.json is no index of an image layout$/m);
  const file = join(copy, "bad", "oci-layout");
  assertRefused(await call(["export", file], { STOWAGE_URL: original.url }), 1, /ENOTDIR|EEXIST/);
  const nowhere = await call(["export", copy, "--repository", "no/such"], { STOWAGE_URL: original.url });
  assertRefused(nowhere, 1, /there is no repository no\/such$/m);
});

test("upkeep from the command line: collection, usage, scrub, history, undo and the replica", async () => {
  const one = await restored.pushImage("cli", "v1", [content()]);
  const two = await restored.pushImage("cli", "v1", [content()]);
  const freed = await json<Record<string, number>>(restored, "gc");
  assert.deepEqual(Object.keys(freed).sort(), ["blobs", "bytes", "links", "manifests", "uploads"]);
  type Usage = { repositories: { name: string; manifests: number }[]; total: { repositories: number } };
  const ask = () => json<Usage>(restored, "usage");
  const manifestsOf = async () => (await ask()).repositories.find(({ name }) => name === "cli")?.manifests;
  await until("the sums", async () => (await manifestsOf()) === 2);
  const { repositories, total } = await ask();
  assert.equal(total.repositories, repositories.length);
  const { problems } = await json<{ problems: object[] }>(restored, "scrub");
  assert.deepEqual(problems, []);
  type Move = { from: string; to: string };
  const [move] = await json<Move[]>(restored, "history", "cli", "v1");
  assert.deepEqual([move?.from, move?.to], [one.digest, two.digest]);
  await json(restored, "restore", "cli", "v1");
  await restored.pullImage("cli", "v1", one);
  await json(restored, "restore", "cli", "v1", "--digest", two.digest);
  await restored.must(202, "DELETE", `/v2/cli/manifests/${two.digest}`);
  assert.deepEqual(await json(restored, "restore", "cli", two.digest), { digest: two.digest, tags: ["v1"] });
  await restored.pullImage("cli", "v1", two);
  assert.equal((await json<{ repositories: number }>(restored, "rebuild")).repositories, repositories.length);
  for (const args of [
    ["usage"],
    ["gc"],
    ["scrub"],
    ["history", "cli", "v1"],
    ["restore", "cli", "v1"],
    ["rebuild"],
  ]) {
    const { code, stdout, stderr } = await call(args, { STOWAGE_URL: restored.url });
    assert.deepEqual([code, stdout + stderr === ""], [0, false], args.join(" "));
  }
});

test("a repository that cannot be imported does not hold up the others, and is named with the reason", async () => {
  const file = join(directory, "team", "index.json");
  const index = JSON.parse(readFileSync(file, "utf8"));
  const annotations = { ...index.annotations, "dev.stowage.visibility": "secret" };
  writeFileSync(file, JSON.stringify({ ...index, annotations }));
  await restored.must(202, "DELETE", "/v2/team/index.json/manifests/v1");
  const { code, stdout, stderr } = await call(["import", directory, "--json"], { STOWAGE_URL: restored.url });
  assert.equal(code, 1);
  const reason = /^the layout's visibility is "secret", but must be public or private$/;
  const { repositories, pushed, failed } = JSON.parse(stdout);
  assert.deepEqual([repositories, pushed, failed.length, failed[0].name], [2, 1, 1, "team"]);
  assert.match(failed[0].reason, reason);
  assert.equal(stderr, `stowage: team: ${failed[0].reason}\n`);
  const again = await call(["import", directory], { STOWAGE_URL: restored.url });
  assert.match(again.stderr, /^2 of 3 repositories: 0 of \d+ manifests and 0 blobs pushed\nstowage: team: /);
  const away = await call(["import", directory], { STOWAGE_URL: "http://127.0.0.1:9" });
  assert.equal(away.code, 1);
  assert.match(
    away.stderr,
    /^0 of 3 repositories: .*\nstowage: team: cannot reach .*\nstowage: not tried: team\/app, /,
  );
});

test("progress is shown in a terminal, and nowhere else", () => {
  for (const isTTY of [true, false]) {
    let written = "";
    const stream = new Writable({
      write(chunk, _, done) {
        written += String(chunk);
        done();
      },
    });
    const progress = new Progress(Object.assign(stream, { isTTY, columns: 60 }));
    progress.show("team/app", 1, 2, 1536);
    progress.end();
    const line = "\r\u001b[K[##########----------] 1/2  1.5 KiB  team/app\r\u001b[K";
    assert.equal(written, isTTY ? line : "");
  }
});
