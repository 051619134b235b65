/** helm: charts as artifacts. */
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startClient } from "../support/matrix.ts";
import { sha256 } from "../support/oci-layout.ts";
import { run } from "../support/programs.ts";

test("helm", async (t) => {
  const client = await startClient(t, {
    name: "helm",
    programs: ["helm"],
    version: ["helm", "version", "--template", "{{.Version}}"],
    credential: "password",
    lacks: { delete: "it has no command that deletes in a registry" },
    surprises: [
      "It lists tags only to find the newest version in a range.",
      "`helm pull` of a digest names the file after the digest, not after the chart's version.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const env: Record<string, string> = {};
  for (const kind of ["CACHE", "CONFIG", "DATA"])
    env[`HELM_${kind}_HOME`] = join(directory, kind.toLowerCase());
  const helm = (...args: string[]) => run("helm", args, { env });
  const login = (password: string) =>
    helm("registry", "login", server.host, "--plain-http", "-u", as.name, "-p", password);
  const chart = `oci://${client.image("charts/app")}`;
  const pull = async (reference: string, to: string, ...flags: string[]) => {
    await mkdir(join(directory, to));
    await helm("pull", reference, "--plain-http", "--destination", join(directory, to), ...flags);
  };
  await helm("create", join(directory, "app"));
  for (const version of ["1.0.0", "1.1.0"]) {
    await helm("package", join(directory, "app"), "--version", version, "--destination", directory);
  }
  const archive = (version: string) => join(directory, `app-${version}.tgz`);
  const bytesOf = async (file: string) => sha256(await readFile(file));
  const push = (version: string, to: string) => helm("push", archive(version), `oci://${to}`, "--plain-http");
  let digest: string | undefined;

  await client.isRefused("wrong password refused", () => login("wrong"));
  await client.can("log in", async () => {
    await login(as.password);
  });
  await client.can("push", async () => {
    for (const version of ["1.0.0", "1.1.0"]) {
      const { stdout, stderr } = await push(version, client.image("charts"));
      digest = /sha256:[0-9a-f]{64}/.exec(stdout + stderr)?.[0];
      const contents = await server.contents(client.repository("charts/app"), version);
      assert(digest !== undefined && contents.includes(digest));
      assert(contents.includes(await bytesOf(archive(version))));
    }
  });
  await client.can("pull by tag", async () => {
    await pull(chart, "by-tag", "--version", "1.0.0");
    assert.equal(await bytesOf(join(directory, "by-tag", "app-1.0.0.tgz")), await bytesOf(archive("1.0.0")));
  });
  await client.can("pull by digest", async () => {
    await pull(`${chart}@${digest}`, "by-digest");
    const file = join(directory, "by-digest", `app@${digest?.replace(":", "-")}.tgz`);
    assert.equal(await bytesOf(file), await bytesOf(archive("1.1.0")));
  });
  await client.can("list", async () => {
    await pull(chart, "range", "--version", "^1.0.0");
    assert.equal(await bytesOf(join(directory, "range", "app-1.1.0.tgz")), await bytesOf(archive("1.1.0")));
  });
  await client.also("`show chart` and `show values`", async () => {
    const version = ["--version", "1.0.0", "--plain-http"];
    const shown = (await helm("show", "chart", chart, ...version)).stdout;
    assert.match(shown, /^name: app$/m);
    assert.match(shown, /^version: 1\.0\.0$/m);
    assert.match((await helm("show", "values", chart, ...version)).stdout, /^replicaCount: 1$/m);
  });
  await client.also("`template` of a chart in the registry", async () => {
    const { stdout } = await helm("template", chart, "--version", "1.0.0", "--plain-http");
    assert.match(stdout, /^kind: Deployment$/m);
  });
  await client.isRefused(
    "other repositories refused",
    () => push("1.0.0", `${server.host}/foreign`),
    () => helm("show", "chart", `oci://${client.foreign}`, "--plain-http"),
  );
  await client.finish();
});
