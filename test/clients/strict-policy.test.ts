/** Pushes of BuildKit, helm and cosign under policies that fix every tag and name, and what they show of a refusal. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDirectory } from "../local/program.ts";
import { buildkitPrograms, startBuildkit } from "./support/buildkit.ts";
import { type ClosedServer, type Credential, startClosedServer } from "./support/closed-server.ts";
import { writeImage } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";

const document = {
  rules: [
    {
      repositories: ["**"],
      tags: { allow: ["v[0-9]*", "[0-9]*"], immutable: ["*"] },
      names: { allow: ["strict/*", "strict/*/*"] },
    },
  ],
};

/** A server with these policies, somebody who may push, and a directory with their credentials for docker. */
async function startStrict(
  t: TestContext,
): Promise<{ server: ClosedServer; as: Credential; directory: string }> {
  const server = await startClosedServer(t);
  await server.putPolicies(document);
  const as = await server.robot("builder", [{ repository: "**", verbs: ["pull", "push"] }]);
  const directory = temporaryDirectory(t);
  const auth = Buffer.from(`${as.name}:${as.password}`).toString("base64");
  await writeFile(join(directory, "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
  return { server, as, directory };
}

/** Checks that a program fails, and that what it printed has these words. */
async function fails(work: Promise<unknown>, ...words: RegExp[]): Promise<void> {
  const said = await work.then(
    () => assert.fail("it was not refused"),
    (error: unknown) => String(error),
  );
  for (const word of words) assert.match(said, word);
}

test("helm pushes a version of a chart once", async (t) => {
  if (!hasPrograms(t, "helm")) return;
  const { server, as, directory } = await startStrict(t);
  const env = Object.fromEntries(
    ["CACHE", "CONFIG", "DATA"].map((kind) => [`HELM_${kind}_HOME`, join(directory, kind.toLowerCase())]),
  );
  const helm = (...args: string[]) => run("helm", args, { env });
  await helm("registry", "login", server.host, "--plain-http", "-u", as.name, "-p", as.password);
  const chart = join(directory, "app");
  await helm("create", chart);
  const push = async (to: string) => {
    await helm("package", chart, "--version", "1.0.0", "--destination", directory);
    return helm("push", join(directory, "app-1.0.0.tgz"), `oci://${server.host}/${to}`, "--plain-http");
  };
  await push("strict/charts");
  await writeFile(join(chart, "values.yaml"), "changed: true\n");
  await fails(push("strict/charts"), /409|denied/i, /keeps this tag as it is/);
  await fails(push("elsewhere"), /403|denied/i, /example: strict\/app/);
});

test("cosign signs an image, beside tags that are fixed", async (t) => {
  if (!hasPrograms(t, "cosign", "crane")) return;
  const { server, directory } = await startStrict(t);
  const env = {
    COSIGN_PASSWORD: "a password of the key",
    COSIGN_YES: "true",
    DOCKER_CONFIG: directory,
    HOME: directory,
  };
  const cosign = (...args: string[]) => run("cosign", args, { env });
  const image = `${server.host}/strict/app`;
  const layout = await writeImage(join(directory, "image"), "v1", [1000]);
  await run("crane", ["push", layout.directory, `${image}:v1`], { env });
  const { stdout } = await run("crane", ["digest", `${image}:v1`], { env });
  const byDigest = `${image}@${stdout.trim()}`;
  await cosign("generate-key-pair", "--output-key-prefix", join(directory, "key"));
  const key = ["--key", join(directory, "key.key"), "--use-signing-config=false", "--tlog-upload=false"];
  const verify = () =>
    cosign("verify", "--key", join(directory, "key.pub"), "--insecure-ignore-tlog=true", byDigest);
  await cosign("sign", ...key, byDigest);
  await verify();
  // In the way of earlier releases: a tag, which another signature moves.
  const old = ["--new-bundle-format=false"];
  await cosign("sign", ...key, ...old, byDigest);
  await cosign("sign", ...key, ...old, "-a", "second=true", byDigest);
  await verify();
  const { tags } = await server.api<{ tags: { tag: string }[] }>("repositories/strict/app/tags");
  assert(tags.some(({ tag }) => tag.endsWith(".sig")));
  await fails(run("crane", ["tag", byDigest, "latest"], { env }), /DENIED/, /example: v1/);
});

test("buildctl pushes an image with its provenance once", async (t) => {
  if (!hasPrograms(t, ...buildkitPrograms)) return;
  const { server, directory } = await startStrict(t);
  const buildctl = await startBuildkit(t, [server.host], { DOCKER_CONFIG: directory });
  await writeFile(join(directory, "Dockerfile"), "FROM scratch\nCOPY file /file\n");
  const build = async (content: string, name: string) => {
    await writeFile(join(directory, "file"), content);
    const local = ["--local", `context=${directory}`, "--local", `dockerfile=${directory}`];
    const output = ["--output", `type=image,name=${server.host}/${name},push=true`];
    const attest = ["--opt", "attest:provenance=mode=max"];
    return buildctl("build", "--frontend", "dockerfile.v0", ...local, ...attest, ...output);
  };
  await build("one", "strict/app:v1");
  await fails(build("two", "strict/app:v1"), /409|denied/i, /keeps this tag as it is/);
  await build("two", "strict/app:v2");
  await fails(build("one", "elsewhere:v1"), /403|denied/i);
  assert((await server.contents("strict/app", "v1")).length > 3);
});
