/** BuildKit by buildctl: images with attestations, caches, zstd and eStargz. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { buildkitPrograms, startBuildkit } from "../support/buildkit.ts";
import type { Credential } from "../support/closed-server.ts";
import { Content } from "../support/content.ts";
import { largeLayer, largeLayerBytes, startClient } from "../support/matrix.ts";
import type { Descriptor } from "../support/oci-layout.ts";

type Entry = Descriptor & { annotations?: Record<string, string> };

/** What an image or an index says. */
type Manifest = { layers?: Entry[]; manifests?: Entry[]; config?: Entry };

test("buildctl", async (t) => {
  const client = await startClient(t, {
    name: "buildctl",
    programs: buildkitPrograms,
    version: ["buildctl", "--version"],
    credential: "token",
    lacks: {
      "log in": "it takes the credentials that docker keeps in its config",
      list: "it has no command that lists what a registry has",
      delete: "it has no command that deletes in a registry",
    },
    surprises: [
      "It pushes a cache as an index whose entries are layers, unless `image-manifest=true` is given.",
      "It looks for each blob with a HEAD before it pushes it, and mounts from repositories that it pushed to before.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const config = join(directory, "config");
  await mkdir(config);
  const logIn = ({ name, password }: Credential) => {
    const auth = Buffer.from(`${name}:${password}`).toString("base64");
    return writeFile(join(config, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
  };
  await logIn(as);
  const buildctl = await startBuildkit(t, [server.host], { DOCKER_CONFIG: config });
  const image = client.image("image");
  let contexts = 0;
  /** Builds a Dockerfile with one file beside it. */
  const build = async (dockerfile: string, file: string | Content, ...flags: string[]) => {
    const context = join(directory, `context-${contexts++}`);
    await mkdir(context);
    await writeFile(join(context, "file"), typeof file === "string" ? file : file.pieces());
    await writeFile(join(context, "Dockerfile"), dockerfile);
    const metadata = join(context, "metadata.json");
    const local = ["--local", `context=${context}`, "--local", `dockerfile=${context}`];
    const frontend = ["--frontend", "dockerfile.v0", "--progress", "plain", "--metadata-file", metadata];
    const output = await buildctl("build", ...frontend, ...local, ...flags);
    const said = JSON.parse(await readFile(metadata, "utf8").catch(() => "{}"));
    return { ...output, digest: String(said["containerimage.digest"]) };
  };
  const fromScratch = "FROM scratch\nCOPY file /file\n";
  const pushTo = (name: string, more = "") => ["--output", `type=image,name=${name},push=true${more}`];
  const push = (name: string, file: string, more = "") => build(fromScratch, file, ...pushTo(name, more));
  const manifest = async (repository: string, reference: string): Promise<Manifest> =>
    JSON.parse(await server.manifest(client.repository(repository), reference));
  /** What a build from an image finds in it. */
  const fileOf = async (reference: string, name: string) => {
    const out = join(directory, name);
    const output = ["--output", `type=local,dest=${out}`, "--no-cache"];
    await build(`FROM ${reference}\nCOPY file /other\n`, "other", ...output);
    return await readFile(join(out, "file"), "utf8");
  };
  let pushed = "";

  await client.can("push", async () => {
    ({ digest: pushed } = await push(`${image}:v1`, "one"));
    assert((await server.contents(client.repository("image"), "v1")).includes(pushed));
  });
  await client.can("pull by tag", async () => {
    await buildctl("prune", "--all");
    assert.equal(await fileOf(`${image}:v1`, "by-tag"), "one");
  });
  await client.can("pull by digest", async () => {
    await buildctl("prune", "--all");
    assert.equal(await fileOf(`${image}@${pushed}`, "by-digest"), "one");
  });
  await client.also("provenance, as an attestation in an index", async () => {
    const name = client.image("attested");
    const flags = ["--opt", "attest:provenance=mode=max"];
    await build(fromScratch, "attested", ...flags, ...pushTo(`${name}:v1`));
    const { manifests = [] } = await manifest("attested", "v1");
    const types = manifests.map(({ annotations }) => annotations?.["vnd.docker.reference.type"]);
    assert.deepEqual(types, [undefined, "attestation-manifest"]);
    const { layers = [] } = await manifest("attested", manifests[1]?.digest ?? "");
    assert.deepEqual(
      layers.map(({ mediaType }) => mediaType),
      ["application/vnd.in-toto+json"],
    );
    await server.contents(client.repository("attested"), "v1");
  });
  for (const isImage of [true, false]) {
    const what = isImage ? "an image manifest" : "an index";
    await client.also(`a cache as ${what}, exported and imported`, async () => {
      const ref = `ref=${client.image("cache")}:${isImage ? "image" : "index"}`;
      const file = `cached as ${what}`;
      const discard = ["--output", `type=local,dest=${join(directory, "discarded")}`];
      const target = `type=registry,mode=max,image-manifest=${isImage},oci-mediatypes=true,${ref}`;
      await build(fromScratch, file, "--export-cache", target, ...discard);
      await buildctl("prune", "--all");
      const again = await build(fromScratch, file, "--import-cache", `type=registry,${ref}`, ...discard);
      assert.match(again.stderr, /importing cache manifest from/);
      // Instead of copying the file it takes the layer.
      assert.match(again.stderr, /COPY file \/file\n(?:#\d+ sha256:.*\n)*#\d+ extracting sha256:/);
      const { layers, manifests } = await manifest("cache", isImage ? "image" : "index");
      assert.notEqual(isImage ? layers : manifests, undefined);
    });
  }
  await client.also("layers in zstd, and an image that is built from them", async () => {
    const name = client.image("zstd");
    await push(`${name}:v1`, "zstd", ",compression=zstd,force-compression=true,oci-mediatypes=true");
    const { layers = [] } = await manifest("zstd", "v1");
    assert.deepEqual(
      layers.map(({ mediaType }) => mediaType),
      ["application/vnd.oci.image.layer.v1.tar+zstd"],
    );
    await buildctl("prune", "--all");
    assert.equal(await fileOf(`${name}:v1`, "of-zstd"), "zstd");
  });
  await client.also("layers in eStargz, and an image that is built from them", async () => {
    const name = client.image("estargz");
    await push(`${name}:v1`, "stargz", ",compression=estargz,force-compression=true,oci-mediatypes=true");
    const { layers = [] } = await manifest("estargz", "v1");
    assert(layers.every(({ annotations }) => annotations?.["containerd.io/snapshot/stargz/toc.digest"]));
    await buildctl("prune", "--all");
    assert.equal(await fileOf(`${name}:v1`, "of-estargz"), "stargz");
  });
  await client.also(largeLayer, async () => {
    const { digest } = await build(
      fromScratch,
      new Content("buildctl", largeLayerBytes),
      ...pushTo(`${image}:large`),
    );
    assert((await server.contents(client.repository("image"), "large")).includes(digest));
  });
  await client.isRefused("other repositories refused", () => push(client.foreign, "foreign"));
  await client.isRefused("wrong password refused", async () => {
    await logIn({ ...as, password: "wrong" });
    return await push(`${client.image("wrong")}:v1`, "wrong");
  });
  await client.finish();
});
