/** Manifests as tools make them, which must be taken. The shapes are theirs, the content is not. */
import assert from "node:assert/strict";
import test from "node:test";
import {
  dockerManifestListType,
  dockerManifestType,
  imageIndexType,
  imageManifestType,
} from "../../src/oci/media-type.ts";
import {
  configType,
  content,
  type Descriptor,
  describe,
  digestOf,
  encode,
  layerType,
} from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const repository = "tools";
const image = await registry.pushImage(repository, "image");
const pushed = new Map<string, Uint8Array>();

/** A descriptor of bytes that are pushed before the manifest. */
function blob(mediaType: string, more: object = {}, bytes = content()): Descriptor {
  pushed.set(digestOf(bytes), bytes);
  return describe(bytes, mediaType, more);
}

const dockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const dockerConfig = "application/vnd.docker.container.image.v1+json";
const foreignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const cacheConfig = "application/vnd.buildkit.cacheconfig.v0";
const empty = () => blob("application/vnd.oci.empty.v1+json", { data: "e30=" }, encode("{}"));
const child = describe(image.manifest, imageManifestType);

const cacheLayer = () =>
  blob(layerType, {
    annotations: {
      "buildkit/createdat": "2026-11-01T10:00:00.123456789Z",
      "containerd.io/uncompressed": digestOf(content()),
    },
  });

const oci = (more: object) => ({ schemaVersion: 2, mediaType: imageManifestType, ...more });
const docker = (more: object) => ({ schemaVersion: 2, mediaType: dockerManifestType, ...more });

const manifests: Record<string, { mediaType?: string; [field: string]: unknown }> = {
  "a cache of BuildKit, as an index": {
    schemaVersion: 2,
    mediaType: imageIndexType,
    manifests: [cacheLayer(), cacheLayer(), blob(cacheConfig)],
  },
  "a cache of BuildKit in Docker's types": {
    schemaVersion: 2,
    mediaType: dockerManifestListType,
    manifests: [blob(dockerLayer), blob(cacheConfig)],
  },
  "a cache of BuildKit, with image-manifest=true": oci({
    config: blob(cacheConfig),
    layers: [cacheLayer(), cacheLayer()],
  }),
  "an index of BuildKit, with an attestation": {
    schemaVersion: 2,
    mediaType: imageIndexType,
    manifests: [
      { ...child, platform: { architecture: "arm", os: "linux", variant: "v7" } },
      {
        ...child,
        annotations: {
          "vnd.docker.reference.digest": child.digest,
          "vnd.docker.reference.type": "attestation-manifest",
        },
        platform: { architecture: "unknown", os: "unknown" },
      },
    ],
  },
  "an image of Windows": docker({
    config: blob(dockerConfig),
    layers: [
      describe(content(), foreignLayer, {
        urls: ["https://mcr.example/v2/windows/servercore/blobs/sha256:0"],
      }),
      blob(dockerLayer),
    ],
  }),
  "an image of Windows in OCI's types": oci({
    config: blob(configType),
    layers: [
      describe(content(), "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
      blob(layerType),
    ],
  }),
  "an index with images of Windows": {
    schemaVersion: 2,
    mediaType: dockerManifestListType,
    manifests: ["10.0.17763.6532", "10.0.20348.2849"].map((version) => ({
      ...child,
      platform: {
        architecture: "amd64",
        os: "windows",
        "os.version": version,
        "os.features": ["win32k"],
        features: [],
      },
    })),
  },
  "a model of Ollama": docker({
    config: blob(dockerConfig),
    layers: [
      blob("application/vnd.ollama.image.model", { from: "/usr/share/ollama/.ollama/models/blobs/sha256-0" }),
      blob("application/vnd.ollama.image.template"),
      blob("application/vnd.ollama.image.license"),
      blob("application/vnd.ollama.image.params"),
      blob("application/vnd.ollama.image.tensor; name=blk.0.weight; dtype=BF16; shape=4096,4096"),
    ],
  }),
  "a chart of Helm": oci({
    mediaType: undefined,
    config: blob("application/vnd.cncf.helm.config.v1+json"),
    layers: [
      blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
      blob("application/vnd.cncf.helm.chart.provenance.v1.prov"),
    ],
    annotations: {
      "org.opencontainers.image.title": "chart",
      "org.opencontainers.image.version": "1.0.0+build.1",
    },
  }),
  "a signature of cosign, under a tag": oci({
    config: blob(configType),
    layers: ["MEUCIQ==", "MEQCIA=="].map((signature) =>
      blob("application/vnd.dev.cosign.simplesigning.v1+json", {
        annotations: {
          "dev.cosignproject.cosign/signature": signature,
          "dev.sigstore.cosign/bundle": '{"SignedEntryTimestamp":"x","Payload":{"body":"x","logIndex":1}}',
          "dev.sigstore.cosign/certificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
          "dev.sigstore.cosign/chain": "",
        },
      }),
    ),
  }),
  "a bundle of cosign, as a referrer": oci({
    artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    config: empty(),
    layers: [blob("application/vnd.dev.sigstore.bundle.v0.3+json")],
    subject: child,
    annotations: {
      "dev.sigstore.bundle.content": "dsse-envelope",
      "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1",
      "org.opencontainers.image.created": "2026-11-01T10:00:00Z",
    },
  }),
  "an image in eStargz": oci({
    config: blob(configType),
    layers: [1, 2].map(() =>
      blob(layerType, {
        annotations: {
          "containerd.io/snapshot/stargz/toc.digest": digestOf(content()),
          "io.containers.estargz.uncompressed-size": "5844992",
        },
      }),
    ),
  }),
  "an image of nydus": oci({
    config: blob(configType),
    layers: [
      blob("application/vnd.oci.image.layer.nydus.blob.v1", {
        annotations: {
          "containerd.io/snapshot/nydus-blob": "true",
          "containerd.io/snapshot/nydus-source-digest": digestOf(content()),
        },
      }),
      blob(layerType, {
        annotations: {
          "containerd.io/snapshot/nydus-bootstrap": "true",
          "containerd.io/snapshot/nydus-fs-version": "6",
          "containerd.io/snapshot/nydus-blob-ids": `["${"0".repeat(64)}"]`,
        },
      }),
    ],
    annotations: { "containerd.io/snapshot/nydus-artifact-type": "application/vnd.nydus" },
  }),
  "an index with an image of nydus": {
    schemaVersion: 2,
    mediaType: imageIndexType,
    manifests: [
      { ...child, platform: { architecture: "amd64", os: "linux" } },
      {
        ...child,
        platform: { architecture: "amd64", os: "linux", "os.features": ["nydus.remoteimage.v1"] },
        artifactType: "application/vnd.nydus.image.manifest.v1+json",
      },
    ],
  },
  "an image of nix2container": oci({
    config: blob(configType),
    layers: [1, 2].map(() => blob("application/vnd.oci.image.layer.v1.tar")),
    annotations: null,
  }),
  "an image whose sizes are 0": oci({
    config: { ...blob(configType), size: 0 },
    layers: [{ ...blob(layerType), size: 0 }],
  }),
  "an artifact of OCI's former type": {
    mediaType: "application/vnd.oci.artifact.manifest.v1+json",
    artifactType: "application/vnd.example.sbom",
    blobs: [blob("application/json", { annotations: { "org.opencontainers.image.title": "sbom.json" } })],
    subject: child,
  },
};

for (const [what, { mediaType, ...fields }] of Object.entries(manifests)) {
  test(`${what} is taken, and served with all its blobs`, async () => {
    const text = JSON.stringify(mediaType === undefined ? fields : { mediaType, ...fields });
    const named = [...pushed].filter(([digest]) => text.includes(`"digest":"${digest}"`));
    await Promise.all(named.map(([, bytes]) => registry.pushBlob(repository, bytes)));
    await registry.pushManifest(repository, "tool", encode(text), mediaType ?? imageManifestType);
    assert.equal((await registry.must(200, "GET", `/v2/${repository}/manifests/tool`)).text, text);
    for (const [digest, bytes] of named) {
      const pulled = await registry.must(200, "GET", `/v2/${repository}/blobs/${digest}`);
      assert.deepEqual(pulled.bytes, bytes);
      assert.equal(
        (await registry.send("DELETE", `/v2/${repository}/blobs/${digest}`)).status,
        405,
        "it is kept",
      );
    }
  });
}
