/** cosign: signatures and attestations beside an image, with a key and no service of others. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { layoutContents, writeIndex } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("cosign", async (t) => {
  const client = await startClient(t, {
    name: "cosign",
    programs: ["cosign", "crane"],
    version: ["cosign", "version", "--json"],
    credential: "token",
    lacks: {},
    surprises: [
      "After it has put a signature, it asks for the image's referrers, to learn whether the registry knows them at all; a 404 would make it keep a list of its own under a tag. The registry answers 200 with an index, also for what has no referrers.",
      "`cosign clean` deletes signatures by tags that may not exist, and takes 404 for an answer.",
      "`cosign login` does not ask the registry: a wrong password shows at the first command after it.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const image = client.image("image");
  const env = {
    COSIGN_PASSWORD: "a password of the key",
    COSIGN_YES: "true",
    DOCKER_CONFIG: join(directory, "config"),
    // It would keep what it fetches about transparency logs below the home directory.
    HOME: directory,
  };
  const cosign = (...args: string[]) => run("cosign", args, { env });
  const login = (password: string) => cosign("login", server.host, "-u", as.name, "-p", password);
  await cosign("generate-key-pair", "--output-key-prefix", join(directory, "key"));
  await cosign("generate-key-pair", "--output-key-prefix", join(directory, "other"));
  const signed = ["--key", join(directory, "key.key"), "--use-signing-config=false", "--tlog-upload=false"];
  const checked = (key: string) => ["--key", join(directory, `${key}.pub`), "--insecure-ignore-tlog=true"];
  const verify = (reference: string, key = "key", ...flags: string[]) =>
    cosign("verify", ...checked(key), ...flags, reference);
  const index = await writeIndex(join(directory, "index"), "v1");
  const byDigest = `${image}@${index.entry.digest}`;
  const before = await layoutContents(index.directory);

  await client.can("log in", async () => {
    await login(as.password);
    await run("crane", ["push", index.directory, `${image}:v1`], { env });
  });
  await client.can("push", async () => {
    await cosign("sign", ...signed, byDigest);
  });
  await client.can("pull by tag", async () => {
    const { stdout } = await verify(`${image}:v1`);
    assert.equal(JSON.parse(stdout)[0].critical.image["docker-manifest-digest"], index.entry.digest);
    await assert.rejects(
      verify(`${image}:v1`, "other"),
      /no matching signatures|invalid signature|failed to verify/i,
    );
  });
  await client.can("pull by digest", async () => {
    const { stdout } = await verify(byDigest);
    assert.equal(JSON.parse(stdout)[0].critical.image["docker-manifest-digest"], index.entry.digest);
  });
  await client.also("`attest` and `verify-attestation`", async () => {
    const predicate = join(directory, "predicate.json");
    await writeFile(predicate, JSON.stringify({ spdxVersion: "SPDX-2.3" }));
    const type = ["--type", "spdxjson"];
    await cosign("attest", ...signed, "--predicate", predicate, ...type, byDigest);
    const { stdout } = await cosign("verify-attestation", ...checked("key"), ...type, byDigest);
    const statement = JSON.parse(Buffer.from(JSON.parse(stdout).payload, "base64").toString());
    assert.equal(statement.subject[0].digest.sha256, index.entry.digest.slice("sha256:".length));
    assert.deepEqual(statement.predicate, { spdxVersion: "SPDX-2.3" });
  });
  await client.also("`sign` in the format with a tag `sha256-….sig`", async () => {
    await cosign("sign", ...signed, "--new-bundle-format=false", byDigest);
    await verify(byDigest, "key", "--new-bundle-format=false");
  });
  await client.also("`sign --recursive` of an index's images", async () => {
    await cosign("sign", ...signed, "--recursive", byDigest);
    for (const { digest } of index.manifests) await verify(`${image}@${digest}`);
  });
  await client.can("list", async () => {
    const { stdout } = await cosign("tree", byDigest);
    assert.match(stdout, /Signatures for an image tag/);
    assert.match(stdout, /sigstore\.dev\/cosign\/sign\/v1 artifacts via OCI referrer/);
    assert.match(stdout, /spdx\.dev\/Document artifacts via OCI referrer/);
  });
  await client.can("delete", async () => {
    await cosign("clean", "--force", byDigest);
    await assert.rejects(verify(byDigest), /no signatures found/);
    assert.doesNotMatch((await cosign("tree", byDigest)).stdout, /artifacts via|Signatures/);
  });
  await client.also("the image itself has the same digests after all that", async () => {
    assert.deepEqual(await server.contents(client.repository("image"), "v1"), before);
  });
  await client.isRefused("other repositories refused", () => cosign("sign", ...signed, client.foreign));
  await client.isRefused("wrong password refused", async () => {
    await login("wrong");
    return cosign("tree", byDigest);
  });
  await client.finish();
});
