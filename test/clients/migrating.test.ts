/** The commands of docs/migrating.md, as they are written there: from Debian's docker-registry to a server of ours. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { startPeer } from "../../bench/peers.ts";
import { temporaryDirectory } from "../local/program.ts";
import { writeIndex } from "./support/oci-layout.ts";
import { commandsOf } from "./support/page-commands.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { freePort, startServer } from "./support/server.ts";

const digestOfSubject = /^Digest: +(\S+)$/m;

test("repositories move from docker-registry by the commands of the page, with all their digests", async (t) => {
  if (!hasPrograms(t, "docker-registry", "crane", "regctl", "skopeo")) return;
  const directory = temporaryDirectory(t);
  await using old = await startPeer("docker-registry");
  assert(old !== undefined);
  const oldHost = new URL(old.url).host;
  // What the commands of the page need not say: that no TLS is spoken here.
  const containers = join(directory, ".config", "containers");
  await mkdir(containers, { recursive: true });
  await writeFile(
    join(containers, "policy.json"),
    JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }),
  );
  const insecure = (host: string) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`;
  const home = { HOME: directory, REGCTL_CONFIG: join(directory, "regctl.json") };
  const regctl = (...args: string[]) => run("regctl", args, { env: home });
  await regctl("registry", "set", oldHost, "--tls", "disabled", "--skip-check");

  const layout = await writeIndex(join(directory, "index"), "v1");
  for (const name of ["team/app", "team/web", "base"]) {
    await regctl("image", "copy", `ocidir://${layout.directory}:v1`, `${oldHost}/${name}:v1`);
    await regctl("image", "copy", `ocidir://${layout.directory}:v1`, `${oldHost}/${name}:latest`);
  }
  const note = ["artifact", "put", "--artifact-type", "application/x-note"];
  await run("regctl", [...note, "--subject", `${oldHost}/team/app:v1`], { env: home, input: "a note" });
  const manifests = await regctl("artifact", "list", `${oldHost}/team/app:v1`);
  const [, referrer] = digestOfSubject.exec(manifests.stdout.replaceAll(/^ +/gm, "")) ?? [];
  assert(referrer !== undefined, manifests.stdout);

  for (const client of ["crane", "regctl", "skopeo"]) {
    await t.test(client, async () => {
      const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort() });
      await writeFile(join(containers, "registries.conf"), insecure(oldHost) + insecure(server.host));
      await regctl("registry", "set", server.host, "--tls", "disabled", "--skip-check");
      const env = { ...home, OLD: oldHost, NEW: server.host };
      const shell = (script: string) => run("sh", ["-eu", "-c", script], { env });
      await shell(commandsOf("migrating.md", client));
      const { stdout: differences } = await shell(commandsOf("migrating.md", "compare"));
      // The page says so: skopeo writes the index anew by which a registry without the API lists referrers.
      const expected =
        client === "skopeo" ? `differs: team/app:${layout.entry.digest.replace(":", "-")}\n` : "";
      assert.equal(differences, expected);
      const catalog = await fetch(`${server.url}/v2/_catalog`);
      assert.deepEqual(await catalog.json(), { repositories: ["base", "team/app", "team/web"] });
      const subject = `${server.url}/v2/team/app/referrers/${layout.entry.digest}`;
      const { manifests: referrers } = (await (await fetch(subject)).json()) as {
        manifests: { digest: string }[];
      };
      assert.deepEqual(
        referrers.map(({ digest }) => digest),
        [referrer],
      );
      await server.stop();
    });
  }
});
