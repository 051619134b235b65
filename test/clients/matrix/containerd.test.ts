/** containerd: pushes each blob with one POST and one PUT. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { until } from "../../local/program.ts";
import { containerdPrograms, importLayout, startContainerd } from "../support/containerd.ts";
import { startClient } from "../support/matrix.ts";
import { layoutContents, writeIndex } from "../support/oci-layout.ts";

test("containerd", async (t) => {
  const client = await startClient(t, {
    name: "containerd",
    programs: containerdPrograms,
    version: ["ctr", "--version"],
    credential: "token",
    lacks: {
      "log in": "`ctr` takes the credential with each command, as `--user`",
      list: "it has no command that lists what a registry has",
      delete: "it has no command that deletes in a registry",
    },
    surprises: [
      "`ctr images pull --all-platforms` unpacks what it pulls, and cannot unpack attestations. A pull of one platform, or `ctr content fetch --all-platforms`, is not concerned.",
      "Its progress shows attestations as `unknown`, and it warns of their media type; they are pushed and pulled all the same.",
    ],
  });
  if (client === undefined) return;
  const { as, directory, server } = client;
  const ctr = await startContainerd(t);
  const name = client.image("image");
  const credential = (password = as.password) => ["--plain-http", "--user", `${as.name}:${password}`];
  const push = (reference: string, ...local: string[]) =>
    ctr("images", "push", ...credential(), reference, ...local);
  /** For the platform of this machine. */
  const pull = (reference: string) =>
    ctr("images", "pull", ...credential(), "--snapshotter", "native", reference);
  const fetchAll = (reference: string) =>
    ctr("content", "fetch", ...credential(), "--all-platforms", reference);
  const stored = async () =>
    (await ctr("content", "ls", "--quiet")).stdout.split("\n").filter(Boolean).sort();
  const digestOf = async (reference: string) =>
    /sha256:[0-9a-f]{64}/.exec((await ctr("images", "ls", `name==${reference}`)).stdout)?.[0];
  /** Removes an image with all that only it holds. */
  const forget = async (reference: string) => {
    await ctr("images", "rm", "--sync", reference);
    await until("the end of its content", async () => (await stored()).length === 0);
  };
  const index = await writeIndex(join(directory, "index"), "v1");
  const contents = await layoutContents(index.directory);
  const byDigest = `${name}@${index.entry.digest}`;

  await importLayout(ctr, index, name);
  await client.can("push", async () => {
    assert.equal(await digestOf(`${name}:v1`), index.entry.digest);
    await push(`${name}:v1`);
    assert.deepEqual(await server.contents(client.repository("image"), "v1"), contents);
  });
  await client.isRefused(
    "other repositories refused",
    () => push(client.foreign, `${name}:v1`),
    () => pull(client.foreign),
  );
  await client.isRefused("wrong password refused", () =>
    ctr("images", "pull", ...credential("wrong"), `${name}:v1`),
  );
  await client.can("pull by tag", async () => {
    await forget(`${name}:v1`);
    await pull(`${name}:v1`);
    assert.equal(await digestOf(`${name}:v1`), index.entry.digest);
    const { stdout } = await ctr("images", "check", "--snapshotter", "native", `name==${name}:v1`);
    assert.match(stdout, /complete \((\d+)\/\1\)/);
    await fetchAll(`${name}:v1`);
    assert.deepEqual(await stored(), contents);
  });
  await client.also("a HEAD of what it has already, which is a use and no pull", async () => {
    const [again, repository] = [`${client.image("again")}:v1`, client.repository("again")];
    await ctr("images", "tag", `${name}:v1`, again);
    await push(again);
    await ctr("images", "rm", again);
    const described = async () => {
      const { pulls } = await server.api<{ pulls: number }>(`repositories/${repository}`);
      const [tag] = (await server.api<{ tags: { lastUsed?: string }[] }>(`repositories/${repository}/tags`))
        .tags;
      return { pulls, lastUsed: tag?.lastUsed };
    };
    assert.deepEqual(await described(), { pulls: 0, lastUsed: undefined }, "a push is neither");
    const before = server.requests().length;
    await pull(again);
    const sent = server
      .requests()
      .slice(before)
      .filter(({ route }) => route === "manifest");
    assert.deepEqual(new Set(sent.map(({ method }) => method)), new Set(["HEAD"]));
    await until("the use is told", async () => (await described()).lastUsed !== undefined);
    assert.equal((await described()).pulls, 0);
    await ctr("images", "rm", again);
  });
  await client.can("pull by digest", async () => {
    await forget(`${name}:v1`);
    await pull(byDigest);
    await fetchAll(byDigest);
    assert.equal(await digestOf(byDigest), index.entry.digest);
    assert.deepEqual(await stored(), contents);
    await forget(byDigest);
  });
  await client.large(async (layout) => {
    await importLayout(ctr, layout, name);
    await push(`${name}:large`);
    await forget(`${name}:large`);
    await pull(`${name}:large`);
    assert.deepEqual(await stored(), await layoutContents(layout.directory));
  });
  await client.finish();
});
