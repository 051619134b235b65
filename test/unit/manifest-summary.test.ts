import assert from "node:assert/strict";
import test from "node:test";
import { readImageConfig } from "../../src/oci/image-config.ts";
import { type ContentKind, summarise } from "../../src/oci/manifest-summary.ts";
import { dockerManifestListType, imageIndexType, imageManifestType } from "../../src/oci/media-type.ts";
import {
  configType,
  content,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../support/content.ts";

const config = describe(content(50), configType);
const empty = describe(encode("{}"), "application/vnd.oci.empty.v1+json");
const layer = (mediaType = layerType, more: object = {}) => describe(content(1000), mediaType, more);
const statement = (predicateType: string) =>
  layer("application/vnd.in-toto+json", { annotations: { "in-toto.io/predicate-type": predicateType } });

type Case = { does: string; manifest: Uint8Array; mediaType?: string; kind: ContentKind };

const bundle = (predicateType?: string) =>
  imageManifest(empty, [layer("application/vnd.dev.sigstore.bundle.v0.3+json")], {
    artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    ...(predicateType === undefined
      ? {}
      : { annotations: { "dev.sigstore.bundle.predicateType": predicateType } }),
  });

const cases: Case[] = [
  { does: "an image", manifest: imageManifest(config, [layer(), layer()]), kind: "image" },
  { does: "an image without layers", manifest: imageManifest(config, []), kind: "image" },
  {
    does: "an index",
    manifest: imageIndex([describe(content(), imageManifestType)]),
    mediaType: imageIndexType,
    kind: "index",
  },
  { does: "an empty index", manifest: imageIndex([]), mediaType: imageIndexType, kind: "index" },
  {
    does: "a cache of BuildKit as an index",
    manifest: imageIndex([layer(), describe(content(), "application/vnd.buildkit.cacheconfig.v0")]),
    mediaType: imageIndexType,
    kind: "artifact",
  },
  {
    does: "a cache of BuildKit as an image",
    manifest: imageManifest(describe(content(), "application/vnd.buildkit.cacheconfig.v0"), [layer()]),
    kind: "artifact",
  },
  {
    does: "a chart",
    manifest: imageManifest(describe(content(), "application/vnd.cncf.helm.config.v1+json"), [
      layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
      layer("application/vnd.cncf.helm.chart.provenance.v1.prov"),
    ]),
    kind: "chart",
  },
  {
    does: "a signature of cosign 1 and 2",
    manifest: imageManifest(config, [layer("application/vnd.dev.cosign.simplesigning.v1+json")]),
    kind: "signature",
  },
  {
    does: "a signature of cosign 3",
    manifest: bundle("https://sigstore.dev/cosign/sign/v1"),
    kind: "signature",
  },
  { does: "a bundle that does not say more", manifest: bundle(), kind: "signature" },
  {
    does: "an attestation of cosign 3",
    manifest: bundle("https://example.org/review/v1"),
    kind: "attestation",
  },
  {
    does: "provenance that cosign 3 attests",
    manifest: bundle("https://slsa.dev/provenance/v1"),
    kind: "provenance",
  },
  { does: "an SBOM that cosign 3 attests", manifest: bundle("https://spdx.dev/Document"), kind: "sbom" },
  {
    does: "a signature of notation",
    manifest: imageManifest(describe(content(), "application/vnd.cncf.notary.signature"), [
      layer("application/jose+json"),
    ]),
    kind: "signature",
  },
  {
    does: "statements that do not say what they are about",
    manifest: imageManifest(config, [
      layer("application/vnd.in-toto+json"),
      layer("application/vnd.in-toto+json"),
    ]),
    kind: "attestation",
  },
  {
    does: "the SBOM and the provenance that BuildKit makes",
    manifest: imageManifest(config, [
      statement("https://spdx.dev/Document"),
      statement("https://slsa.dev/provenance/v0.2"),
    ]),
    kind: "attestation",
  },
  {
    does: "the provenance alone that BuildKit makes",
    manifest: imageManifest(config, [statement("https://slsa.dev/provenance/v1")]),
    kind: "provenance",
  },
  {
    does: "an SBOM alone that BuildKit makes",
    manifest: imageManifest(config, [statement("https://spdx.dev/Document")]),
    kind: "sbom",
  },
  {
    does: "an attestation of cosign 2",
    manifest: imageManifest(config, [layer("application/vnd.dsse.envelope.v1+json")]),
    kind: "attestation",
  },
  {
    does: "provenance that cosign 2 attests",
    manifest: imageManifest(config, [
      layer("application/vnd.dsse.envelope.v1+json", {
        annotations: { predicateType: "https://slsa.dev/provenance/v0.2" },
      }),
    ]),
    kind: "provenance",
  },
  {
    does: "an SBOM that cosign attached",
    manifest: imageManifest(config, [layer("text/spdx+json")]),
    kind: "sbom",
  },
  {
    does: "an SBOM that oras attached",
    manifest: imageManifest(empty, [layer("application/octet-stream")], {
      artifactType: "application/vnd.cyclonedx+json",
    }),
    kind: "sbom",
  },
  {
    does: "an image with one layer of another kind",
    manifest: imageManifest(config, [layer("text/spdx+json"), layer()]),
    kind: "image",
  },
  {
    does: "anything else",
    manifest: imageManifest(empty, [layer("text/plain")], { artifactType: "application/vnd.example" }),
    kind: "artifact",
  },
  { does: "no manifest at all", manifest: encode("none"), kind: "artifact" },
  {
    does: "fields that are no fields",
    manifest: encode({ layers: [1], config: [], annotations: 1 }),
    kind: "artifact",
  },
];

for (const { does, manifest, mediaType = imageManifestType, kind } of cases) {
  test(`${does} is listed as ${kind}`, () => assert.equal(summarise(manifest, mediaType).kind, kind));
}

test("the size of an image is that of its config and layers, each counted once", () => {
  const shared = layer();
  const manifest = imageManifest(config, [shared, layer(), shared]);
  const summary = summarise(manifest, imageManifestType);
  assert.deepEqual(summary, { kind: "image", contentBytes: 50 + 2 * 1000, config: config.digest });
});

test("sizes that are none, or too large, do no harm", () => {
  const sizes = [-1, "9", null, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  const layers = sizes.map((size) => ({ mediaType: layerType, digest: digestOf(content()), size }));
  const { contentBytes } = summarise(encode({ layers }), imageManifestType);
  assert.equal(contentBytes, Number.MAX_SAFE_INTEGER);
});

test("the platforms of an index are those of its images, each once, without those of attestations", () => {
  const child = (platform: unknown) => describe(content(), imageManifestType, { platform });
  const index = imageIndex(
    [
      child({ os: "linux", architecture: "amd64" }),
      child({ os: "linux", architecture: "arm", variant: "v7" }),
      child({ os: "linux", architecture: "amd64" }),
      child({ os: "unknown", architecture: "unknown" }),
      child({ os: "linux\n", architecture: "amd64" }),
      child("linux/amd64"),
      child(undefined),
    ],
    { annotations: { "org.opencontainers.image.created": "2026-11-29T10:00:00+01:00" } },
  );
  for (const mediaType of [imageIndexType, dockerManifestListType]) {
    assert.deepEqual(summarise(index, mediaType), {
      kind: "index",
      contentBytes: 0,
      platforms: ["linux/amd64", "linux/arm/v7"],
      createdAtMs: Date.UTC(2026, 10, 29, 9),
    });
  }
});

test("no more platforms of an index are listed than there may be", () => {
  const index = imageIndex(
    Array.from({ length: 200 }, (_, at) =>
      describe(content(), imageManifestType, { platform: { os: "linux", architecture: `a${at}` } }),
    ),
  );
  assert.equal(summarise(index, imageIndexType).platforms?.length, 50);
});

test("times that are none are left out", () => {
  for (const created of ["yesterday", "", "-000001-01-01T00:00:00Z", "+275760-09-13T00:00:00Z", 5]) {
    const manifest = imageManifest(config, [], {
      annotations: { "org.opencontainers.image.created": created },
    });
    assert.equal(summarise(manifest, imageManifestType).createdAtMs, undefined, String(created));
  }
});

test("a config says how an image was made and runs", () => {
  const read = readImageConfig(
    encode({
      created: "2026-11-29T10:00:00Z",
      author: "somebody",
      os: "linux",
      architecture: "arm64",
      variant: "v8",
      config: {
        Env: ["PATH=/bin", 5],
        Labels: { version: "1", count: 2 },
        Entrypoint: ["/init"],
        Cmd: null,
        WorkingDir: "/srv",
        User: "1000",
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": {} },
        StopSignal: "SIGINT",
      },
      history: [
        { created: "2026-11-29T09:00:00Z", created_by: "RUN true", comment: "by hand" },
        { created_by: "ENV A=B", empty_layer: true },
        "none",
      ],
    }),
  );
  assert.deepEqual(read, {
    platform: "linux/arm64/v8",
    createdAtMs: Date.UTC(2026, 10, 29, 10),
    author: "somebody",
    env: ["PATH=/bin"],
    labels: { version: "1" },
    entrypoint: ["/init"],
    command: [],
    workingDirectory: "/srv",
    user: "1000",
    exposedPorts: ["80/tcp"],
    volumes: ["/data"],
    stopSignal: "SIGINT",
    history: [
      {
        createdAtMs: Date.UTC(2026, 10, 29, 9),
        createdBy: "RUN true",
        comment: "by hand",
        isEmptyLayer: false,
      },
      { createdBy: "ENV A=B", isEmptyLayer: true },
    ],
  });
  const nothing = {
    env: [],
    labels: {},
    entrypoint: [],
    command: [],
    exposedPorts: [],
    volumes: [],
    history: [],
  };
  for (const bytes of [encode("none"), encode("[]"), encode({ config: [], history: {} }), content()]) {
    assert.deepEqual(readImageConfig(bytes), nothing);
  }
});
