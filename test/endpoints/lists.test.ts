import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import { type Answer, expectError } from "../support/answer.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  imageIndex,
  imageManifest,
  unknownDigest,
} from "../support/content.ts";
import { nextPage, readPages } from "../support/pages.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();

const tagsOf = (answer: Answer) => answer.json<{ tags: string[] }>().tags;
const repositoriesOf = (answer: Answer) => answer.json<{ repositories: string[] }>().repositories;

// In ASCII order.
const tags = ["0", "1.0", "1.10", "1.2", "A", "B", "_", "a", "a-b", "a.b", "a0", "aa", "b"];

test("tags are listed in ASCII order, in pages that lead to each other", async () => {
  const { manifest } = await registry.pushImage("tags", "b");
  for (const tag of tags.toReversed()) await registry.pushManifest("tags", tag, manifest);
  const list = await registry.must(200, "GET", "/v2/tags/tags/list");
  assert.deepEqual(list.json(), { name: "tags", tags });
  assert.equal(list.header("Content-Type"), "application/json");
  assert.equal(nextPage(list), undefined);
  assert.deepEqual(await readPages(registry, "/v2/tags/tags/list?n=5", tagsOf), {
    all: tags,
    sizes: [5, 5, 3],
  });
  assert.deepEqual(await readPages(registry, "/v2/tags/tags/list?n=13", tagsOf), { all: tags, sizes: [13] });
  assert.deepEqual(await readPages(registry, "/v2/tags/tags/list?n=12", tagsOf), {
    all: tags,
    sizes: [12, 1],
  });
});

const pages: [query: string, expected: string[], hasNext: boolean][] = [
  ["?n=0", [], false],
  ["?n=2", ["0", "1.0"], true],
  ["?last=a0", ["aa", "b"], false],
  ["?last=a0&n=1", ["aa"], true],
  ["?last=a0&n=2", ["aa", "b"], false],
  ["?last=not-there", [], false],
  ["?last=9", tags.slice(4), false],
  ["?last=b", [], false],
  ["?last=", tags, false],
  ["?n=99999999999999999999", tags, false],
  ["?last=%00", tags, false],
  ["?last=%ff%27%22", [], false],
];

test("a page of tags begins after last, and has at most n", async () => {
  for (const [query, expected, hasNext] of pages) {
    const list = await registry.must(200, "GET", `/v2/tags/tags/list${query}`);
    assert.deepEqual(tagsOf(list), expected, query);
    assert.equal(nextPage(list) !== undefined, hasNext, query);
  }
});

test("a repository without tags has an empty list; one that does not exist has none", async () => {
  await registry.pushBlob("untagged", content());
  assert.deepEqual((await registry.must(200, "GET", "/v2/untagged/tags/list")).json(), {
    name: "untagged",
    tags: [],
  });
  expectError(await registry.get("/v2/nowhere/tags/list"), 404, "NAME_UNKNOWN");
});

test("repositories are listed in order, in pages, once they have something", async () => {
  await registry.openUpload("catalog/only-a-session");
  const names = ["catalog/a", "catalog/a-b", "catalog/a/b", "catalog/a0", "catalog/b"];
  for (const name of names) await registry.pushBlob(name, content());
  const { all, sizes } = await readPages(registry, "/v2/_catalog?n=2", repositoriesOf);
  assert.deepEqual(
    all.filter((name) => name.startsWith("catalog/")),
    names,
  );
  assert(sizes.slice(0, -1).every((size) => size === 2));
  const rest = await registry.must(200, "GET", "/v2/_catalog?last=catalog/a/b&n=1");
  assert.deepEqual(rest.json(), { repositories: ["catalog/a0"] });
  assert.deepEqual((await registry.must(200, "GET", "/v2/_catalog?n=0")).json(), { repositories: [] });
});

test("n is a whole number of zero or more, in every list", async () => {
  for (const path of ["/v2/_catalog", "/v2/tags/tags/list", `/v2/tags/referrers/${unknownDigest()}`]) {
    for (const n of ["-1", "ten", "1.5", "", "1e3", "%00"]) {
      expectError(await registry.get(`${path}?n=${n}`), 400, "UNSUPPORTED");
    }
  }
});

type Index = { manifests: { digest: string; [field: string]: unknown }[] };
const referrersOf = (answer: Answer) => answer.json<Index>().manifests;

test("a manifest's referrers are listed as descriptors, whichever was pushed first", async () => {
  const config = content();
  await registry.pushBlob("referrers", config);
  const configDescriptor = describe(config, configType);
  const image = imageManifest(configDescriptor, []);
  const subject = describe(image, imageManifestType);
  const annotations = { "org.example.key": 'value "ü\u0000' };
  const artifacts: [manifest: Uint8Array, type: string, expected: object][] = [
    [
      imageManifest(configDescriptor, [], { subject, artifactType: "a/sbom", annotations }),
      imageManifestType,
      { artifactType: "a/sbom", annotations },
    ],
    [imageManifest(configDescriptor, [], { subject }), imageManifestType, { artifactType: configType }],
    [
      imageManifest(configDescriptor, [], { subject, artifactType: "" }),
      imageManifestType,
      { artifactType: configType },
    ],
    [imageIndex([], { subject }), imageIndexType, {}],
    [imageIndex([], { subject, artifactType: "a/sbom" }), imageIndexType, { artifactType: "a/sbom" }],
  ];
  for (const [manifest, type] of artifacts) {
    const pushed = await registry.putManifest("referrers", digestOf(manifest), manifest, type);
    assert.equal(pushed.status, 201, pushed.text);
    assert.equal(pushed.header("OCI-Subject"), subject.digest);
  }
  await registry.pushManifest("referrers", "latest", image);

  const path = `/v2/referrers/referrers/${subject.digest}`;
  const expected = artifacts
    .map(([manifest, type, more]) => ({ ...describe(manifest, type), ...more }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const list = await registry.must(200, "GET", path);
  assert.equal(list.header("Content-Type"), imageIndexType);
  assert.equal(list.headers.get("OCI-Filters-Applied"), null);
  assert.deepEqual(list.json(), { schemaVersion: 2, mediaType: imageIndexType, manifests: expected });
  assert.deepEqual(await readPages(registry, `${path}?n=2`, referrersOf), {
    all: expected,
    sizes: [2, 2, 1],
  });

  const sboms = await registry.must(200, "GET", `${path}?artifactType=a%2Fsbom`);
  assert.equal(sboms.header("OCI-Filters-Applied"), "artifactType");
  assert.deepEqual(
    referrersOf(sboms),
    expected.filter((entry) => "artifactType" in entry && entry.artifactType === "a/sbom"),
  );
  const paged = await readPages(registry, `${path}?artifactType=a%2Fsbom&n=1`, referrersOf);
  assert.deepEqual(paged.sizes, [1, 1]);
  assert.deepEqual(referrersOf(await registry.must(200, "GET", `${path}?artifactType=a/none`)), []);

  for (const { digest } of expected) await registry.must(202, "DELETE", `/v2/referrers/manifests/${digest}`);
  assert.deepEqual(referrersOf(await registry.must(200, "GET", path)), []);
});

test("what nobody refers to has an empty list, whether it exists or not", async () => {
  const { digest } = await registry.pushImage("unreferred", "latest");
  for (const path of [
    `/v2/unreferred/referrers/${digest}`,
    `/v2/unreferred/referrers/${unknownDigest("sha512")}`,
    `/v2/nowhere/referrers/${unknownDigest()}`,
  ]) {
    assert.deepEqual(referrersOf(await registry.must(200, "GET", path)), []);
  }
  expectError(await registry.get("/v2/unreferred/referrers/latest"), 400, "DIGEST_INVALID");
});

test("referrers whose annotations fill a page go on in the next one", async () => {
  const subject = { mediaType: imageManifestType, digest: unknownDigest(), size: 1 };
  const annotations = { padding: "x".repeat(1_500_000) };
  const pushed = await Promise.all(
    ["a/1", "a/2", "a/3"].map((artifactType) => {
      const manifest = imageIndex([], { subject, artifactType, annotations });
      return registry.pushManifest("heavy", digestOf(manifest), manifest, imageIndexType);
    }),
  );
  const { all, sizes } = await readPages(registry, `/v2/heavy/referrers/${subject.digest}`, referrersOf);
  assert.deepEqual(
    all.map((entry) => entry.digest),
    pushed.sort(),
  );
  assert(sizes.length > 1);
});
