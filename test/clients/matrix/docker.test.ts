/** docker: a stock daemon, which streams each layer with one PATCH. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { buildImage, dockerPrograms, imageId, removeImages, startDocker } from "../support/docker.ts";
import { largeLayer, largeLayerBytes, startClient } from "../support/matrix.ts";
import { fiveLayers, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("docker", async (t) => {
  const client = await startClient(t, {
    name: "docker",
    programs: [...dockerPrograms, "skopeo"],
    version: ["dockerd", "--version"],
    credential: "password",
    lacks: { delete: "it has no command that deletes in a registry" },
    surprises: [
      "It lists tags only to pull them all (`pull --all-tags`).",
      "It tries TLS first with a registry on loopback; the local server refuses that at once, so that it goes on without.",
      "It mounts layers from repositories that it has pushed to before, but always sends the config again.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const docker = await startDocker(t);
  const image = client.image("image");
  const login = (password: string) =>
    docker(["login", "-u", as.name, "--password-stdin", server.host], { input: password });
  /** The digest of a repository's image, as the daemon knows it from a push or a pull. */
  const repoDigest = async (name: string) => {
    const { stdout } = await docker(["image", "inspect", "--format", "{{json .RepoDigests}}", name]);
    const digests: string[] = JSON.parse(stdout);
    return digests.find((digest) => digest.startsWith(`${image}@`))?.split("@")[1];
  };
  await buildImage(t, docker, `${image}:v1`, fiveLayers);
  const id = await imageId(docker, `${image}:v1`);
  let digest: string | undefined;

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    await docker(["push", `${image}:v1`]);
    digest = await repoDigest(`${image}:v1`);
    assert(digest !== undefined);
    const contents = await server.contents(client.repository("image"), "v1");
    assert.equal(contents.length, 2 + fiveLayers.length);
    assert(contents.includes(digest) && contents.includes(id));
  });
  await client.isRefused(
    "other repositories refused",
    async () => {
      await docker(["tag", `${image}:v1`, client.foreign]);
      return docker(["push", client.foreign]);
    },
    () => docker(["pull", client.foreign]),
  );
  await client.can("pull by tag", async () => {
    await removeImages(docker, `${image}:v1`, client.foreign);
    await docker(["pull", `${image}:v1`]);
    assert.equal(await imageId(docker, `${image}:v1`), id);
    assert.equal(await repoDigest(`${image}:v1`), digest);
  });
  await client.can("pull by digest", async () => {
    await removeImages(docker, `${image}:v1`);
    await docker(["pull", `${image}@${digest}`]);
    assert.equal(await imageId(docker, `${image}@${digest}`), id);
  });
  await client.can("list", async () => {
    await docker(["tag", `${image}@${digest}`, `${image}:v2`]);
    await docker(["push", `${image}:v2`]);
    await removeImages(docker, `${image}:v2`, `${image}@${digest}`);
    await docker(["pull", "--all-tags", image]);
    for (const tag of ["v1", "v2"]) assert.equal(await imageId(docker, `${image}:${tag}`), id);
  });
  await client.also("`manifest create` and `manifest push` of an index", async () => {
    const name = client.image("list:v1");
    await docker(["manifest", "create", "--insecure", name, `${image}:v1`]);
    const { stdout } = await docker(["manifest", "push", "--insecure", name]);
    const contents = await server.contents(client.repository("list"), "v1");
    // The first line names the image, the last one the list.
    const list = stdout.trim().split("\n").at(-1);
    assert(digest !== undefined && list !== undefined);
    assert(contents.includes(digest) && contents.includes(list));
  });
  await client.also("pulls by platform of an index with attestations", async () => {
    const { directory: layout, manifests } = await writeIndex(join(directory, "index"), "v1");
    const creds = ["--dest-tls-verify=false", "--dest-creds", `${as.name}:${as.password}`];
    const index = client.image("index:v1");
    await run("skopeo", [
      "--insecure-policy",
      "copy",
      "--all",
      ...creds,
      `oci:${layout}:v1`,
      `docker://${index}`,
    ]);
    for (const [number, architecture] of ["amd64", "arm64", "riscv64"].entries()) {
      await docker(["pull", "--platform", `linux/${architecture}`, index]);
      const file = join(layout, "blobs", "sha256", manifests[number]?.digest.slice("sha256:".length) ?? "");
      const { config } = JSON.parse(await readFile(file, "utf8"));
      assert.equal(await imageId(docker, index), config.digest);
    }
  });
  await client.also(largeLayer, async () => {
    const large = client.image("large");
    await buildImage(t, docker, large, [largeLayerBytes]);
    const largeId = await imageId(docker, large);
    await docker(["push", large]);
    await docker(["image", "rm", large]);
    await docker(["pull", large]);
    assert.equal(await imageId(docker, large), largeId);
  });
  await client.also("`logout`, after which it is refused", async () => {
    await docker(["logout", server.host]);
    await assert.rejects(docker(["push", `${image}:v1`]), /denied|unauthorized|no basic auth/);
  });
  await client.finish();
});
