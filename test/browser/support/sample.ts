/** Content as a team has it: images for several platforms with what BuildKit and cosign attach to them, and a chart. */
import { createHash } from "node:crypto";
import { imageIndexType } from "../../../src/oci/media-type.ts";
import type { Client } from "../../support/client.ts";
import {
  configType,
  type Descriptor,
  describe,
  digestOf,
  encode,
  imageIndex,
  imageManifest,
  layerType,
} from "../../support/content.ts";

const inToto = "application/vnd.in-toto+json";

/** Bytes of a size that are the same each time. */
export function bytesOf(seed: string, sizeBytes: number): Uint8Array {
  const block = createHash("sha512").update(seed).digest();
  const bytes = new Uint8Array(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += 64) {
    const part = createHash("sha512").update(block).update(String(offset)).digest();
    bytes.set(part.subarray(0, Math.min(64, sizeBytes - offset)), offset);
  }
  return bytes;
}

/** A layer: the command that made it, and how large it is; without a size, a setting. */
export type Step = [command: string, sizeBytes?: number];

const steps: Step[] = [
  ["/bin/sh -c #(nop) ADD file:debian-bookworm-slim in / ", 1_900_000],
  ['/bin/sh -c #(nop)  CMD ["bash"]'],
  ["ENV NODE_VERSION=24.11.0"],
  [
    "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends ca-certificates # buildkit",
    640_000,
  ],
  ["WORKDIR /srv/shop", 120],
  ["COPY package.json package-lock.json ./ # buildkit", 41_000],
  ["RUN /bin/sh -c npm ci --omit=dev # buildkit", 1_250_000],
  ["COPY dist ./dist # buildkit", 310_000],
  ["EXPOSE map[8080/tcp:{}]"],
  ['ENTRYPOINT ["node" "dist/server.js"]'],
];

/** Pushes an image; returns its descriptor. `of`: what makes it differ from others. */
export async function pushImage(
  client: Client,
  repository: string,
  of: { seed: string; architecture?: string; layers?: Step[]; config?: object; more?: object },
): Promise<Descriptor> {
  const { seed, architecture = "amd64", layers = steps, config: given = {}, more } = of;
  const filled = layers.filter(([, size]) => size !== undefined);
  const blobs = filled.map(([command, size = 0], index) =>
    bytesOf(index < 3 ? command : `${seed} ${command}`, size),
  );
  const config = encode({
    created: "2026-11-20T08:12:44Z",
    author: "The shop team",
    os: "linux",
    architecture,
    config: {
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/bin",
        "NODE_VERSION=24.11.0",
        "NODE_ENV=production",
      ],
      Entrypoint: ["node", "dist/server.js"],
      ExposedPorts: { "8080/tcp": {} },
      WorkingDir: "/srv/shop",
      User: "node",
      Labels: {
        "org.opencontainers.image.source": "https://git.example.org/team/shop",
        "org.opencontainers.image.revision": "3f2c9d41",
      },
    },
    rootfs: {
      type: "layers",
      diff_ids: blobs.map((_, index) => `sha256:${String(index).padStart(64, "0")}`),
    },
    history: layers.map(([created_by, size]) => ({
      created: "2026-11-20T08:12:40Z",
      created_by,
      ...(size === undefined ? { empty_layer: true } : {}),
    })),
    seed,
    ...given,
  });
  await Promise.all([config, ...blobs].map((blob) => client.pushBlob(repository, blob)));
  const manifest = imageManifest(
    describe(config, configType),
    blobs.map((blob) => describe(blob, layerType)),
    more,
  );
  const digest = await client.pushManifest(repository, digestOf(manifest), manifest);
  return { ...describe(manifest, "application/vnd.oci.image.manifest.v1+json"), digest };
}

/** What BuildKit puts beside an image: an SBOM and its provenance. */
async function pushAttestation(client: Client, repository: string, image: Descriptor): Promise<Descriptor> {
  const statements = [
    {
      predicateType: "https://spdx.dev/Document",
      predicate: {
        spdxVersion: "SPDX-2.3",
        packages: [
          "express 5.1.0 MIT",
          "pino 9.5.0 MIT",
          "pg 8.13.1 MIT",
          "openssl 3.0.15-1~deb12u1 Apache-2.0",
          "zlib1g 1.2.13 Zlib",
        ].map((line) => {
          const [name, versionInfo, licenseDeclared] = line.split(" ");
          return { name, versionInfo, licenseDeclared };
        }),
      },
    },
    {
      predicateType: "https://slsa.dev/provenance/v0.2",
      predicate: {
        builder: { id: "https://ci.example.org/pipelines/shop/4711" },
        invocation: { configSource: { uri: "https://git.example.org/team/shop.git#refs/tags/v1.4.0" } },
        metadata: { buildStartedOn: "2026-11-20T08:10:02Z" },
        materials: [{ uri: "pkg:docker/debian@bookworm-slim?platform=linux%2Famd64" }],
      },
    },
  ].map(({ predicateType, predicate }) => ({
    predicateType,
    bytes: encode({
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType,
      subject: [{ digest: { sha256: image.digest.slice(7) } }],
      predicate,
    }),
  }));
  const config = encode({ architecture: "unknown", os: "unknown", config: {} });
  await Promise.all(
    [config, ...statements.map(({ bytes }) => bytes)].map((blob) => client.pushBlob(repository, blob)),
  );
  const manifest = imageManifest(
    describe(config, configType),
    statements.map(({ predicateType, bytes }) =>
      describe(bytes, inToto, { annotations: { "in-toto.io/predicate-type": predicateType } }),
    ),
  );
  await client.pushManifest(repository, digestOf(manifest), manifest);
  return describe(manifest, "application/vnd.oci.image.manifest.v1+json", {
    platform: { os: "unknown", architecture: "unknown" },
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": image.digest,
    },
  });
}

/** Pushes an index for two platforms with attestations, under tags. Returns its digest. */
export async function pushMultiPlatform(client: Client, repository: string, tags: string[]): Promise<string> {
  const [version = ""] = tags;
  const images = [];
  for (const architecture of ["amd64", "arm64"]) {
    const image = await pushImage(client, repository, { seed: `${version} ${architecture}`, architecture });
    images.push(
      { ...image, platform: { os: "linux", architecture } },
      await pushAttestation(client, repository, image),
    );
  }
  const index = imageIndex(images, { annotations: { "org.opencontainers.image.version": version } });
  let digest = "";
  for (const tag of tags) digest = await client.pushManifest(repository, tag, index, imageIndexType);
  return digest;
}

/** Pushes an artifact that refers to a manifest. Returns its digest. */
export async function attach(
  client: Client,
  repository: string,
  subject: { digest: string; size: number; mediaType: string },
  artifactType: string,
  content: Uint8Array,
  tag?: string,
): Promise<string> {
  const config = encode({});
  await Promise.all([config, content].map((blob) => client.pushBlob(repository, blob)));
  const refers = tag === undefined ? { subject, artifactType } : {};
  const manifest = imageManifest(
    describe(config, tag === undefined ? "application/vnd.oci.empty.v1+json" : configType),
    [describe(content, artifactType)],
    refers,
  );
  return client.pushManifest(repository, tag ?? digestOf(manifest), manifest);
}

/** A small registry of a team: a shop with several releases, other services, data jobs and a chart. */
export async function pushSample(client: Client): Promise<{ shop: string }> {
  for (const version of ["v1.2.0", "v1.3.0", "v1.3.1"])
    await pushMultiPlatform(client, "team/shop", [version]);
  const shop = await pushMultiPlatform(client, "team/shop", ["v1.4.0", "v1.4", "latest"]);
  const hex = shop.slice("sha256:".length);
  const signature = encode({
    critical: { identity: { "docker-reference": "team/shop" }, image: { "docker-manifest-digest": shop } },
  });
  await attach(
    client,
    "team/shop",
    { digest: shop, size: 1, mediaType: "" },
    "application/vnd.dev.cosign.simplesigning.v1+json",
    signature,
    `sha256-${hex}.sig`,
  );
  for (const name of ["team/checkout", "team/mailer", "data/etl", "data/warehouse/loader", "library/node"]) {
    const image = await pushImage(client, name, { seed: name });
    for (const tag of ["v0.9.0", "main"])
      await client.must(201, "PUT", `/v2/${name}/manifests/${tag}`, await body(client, name, image.digest));
  }
  const chart = encode({ name: "shop", version: "2.1.0", appVersion: "v1.4.0" });
  const archive = bytesOf("chart", 18_000);
  await Promise.all([chart, archive].map((blob) => client.pushBlob("charts/shop", blob)));
  const manifest = imageManifest(describe(chart, "application/vnd.cncf.helm.config.v1+json"), [
    describe(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
  ]);
  await client.pushManifest("charts/shop", "2.1.0", manifest);
  return { shop };
}

async function body(client: Client, name: string, digest: string) {
  const { bytes, headers } = await client.must(200, "GET", `/v2/${name}/manifests/${digest}`);
  return { body: bytes, headers: { "Content-Type": headers.get("Content-Type") ?? "" } };
}
