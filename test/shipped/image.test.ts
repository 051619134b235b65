/** The image: loaded from its archive, run as the chart runs it, and pulled from the registry that runs in it. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { version } from "../../src/version.ts";
import { type Docker, dockerPrograms, imageId, startDocker } from "../clients/support/docker.ts";
import { hasPrograms } from "../clients/support/programs.ts";
import { freePort } from "../clients/support/server.ts";
import { until } from "../local/program.ts";
import { afterTest } from "../support/ends.ts";
import { imageArchive } from "./support/artefacts.ts";
import { confined } from "./support/confined.ts";

const image = `stowage:${version}`;
const password = "correct horse battery staple";
const megabyte = 1_000_000;

/**
 * A container of the image with the registry, on a port of this machine, as the daemon has no network of its own; its
 * data is on a volume.
 */
async function start(docker: Docker, name: string, port: number, volume: string): Promise<void> {
  const environment = [
    "--env",
    `ADMIN_PASSWORD=${password}`,
    "--env",
    `STOWAGE_URL=http://127.0.0.1:${port}`,
  ];
  const serve = ["serve", "--port", String(port), "--data", "/var/lib/stowage/data", "--log", "json"];
  await docker([
    ...["run", "--detach", "--name", name, "--network", "host", "--volume", `${volume}:/var/lib/stowage`],
    ...["--health-interval", "1s", ...confined, ...environment, image, ...serve],
  ]);
  await until(`${name} to be healthy`, async () => {
    const { stdout } = await docker([
      "inspect",
      "--format",
      "{{.State.Running}} {{.State.Health.Status}}",
      name,
    ]);
    if (stdout.startsWith("false")) throw new Error((await docker(["logs", name])).stderr);
    return stdout.trim() === "true healthy";
  });
}

async function exitCode(docker: Docker, name: string): Promise<string> {
  return (await docker(["inspect", "--format", "{{.State.ExitCode}}", name])).stdout.trim();
}

/** Begins the upload of a blob, and returns what ends it. */
async function beginUpload(url: string) {
  const headers = { Authorization: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}` };
  const begun = await fetch(`${url}/v2/slow/blobs/uploads/`, { method: "POST", headers });
  assert.equal(begun.status, 202);
  const location = new URL(begun.headers.get("Location") ?? "", url);
  let end = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(megabyte));
      end = () => {
        controller.enqueue(new Uint8Array(megabyte));
        controller.close();
      };
    },
  });
  const answer = fetch(location, { method: "PATCH", headers, body, duplex: "half" } as RequestInit);
  return { answer, end: () => end() };
}

test("the image", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  const docker = await startDocker(t);
  const port = await freePort();
  const name = `127.0.0.1:${port}/stowage:${version}`;
  await docker(["load", "--input", imageArchive()]);

  await t.test("says what it is, and runs as a user that is not root", async (t) => {
    const { stdout } = await docker(["image", "inspect", "--format", "{{json .}}", image]);
    const { Config: config, Size: size } = JSON.parse(stdout);
    t.diagnostic(`the image: ${(size / megabyte).toFixed(0)} MB with its base`);
    assert.equal(config.User, "65532:65532");
    assert.deepEqual(Object.keys(config.Volumes), ["/var/lib/stowage"]);
    assert.deepEqual(config.Healthcheck.Test, ["CMD", "stowage", "health"]);
    assert.equal(config.Labels["org.opencontainers.image.version"], version);
    assert.equal(config.Labels["org.opencontainers.image.licenses"], "Apache-2.0");
    const { stdout: said } = await docker([
      "run",
      "--rm",
      "--network",
      "none",
      ...confined,
      image,
      "--version",
    ]);
    assert.equal(said, `stowage ${version}\n`);
  });

  await t.test("does not serve everybody: without a password it says so, and ends with 2", async () => {
    await assert.rejects(
      docker(["run", "--rm", "--network", "none", ...confined, image]),
      /ended with 2\nstowage: without ADMIN_PASSWORD everybody may push and pull, [^\n]+\n$/,
    );
  });

  await t.test(
    "is pushed to the registry that runs in it, and pulled by another machine, which runs it",
    async (t) => {
      await start(docker, "first", port, "first");
      await docker(["login", "--username", "admin", "--password-stdin", `127.0.0.1:${port}`], {
        input: password,
      });
      await docker(["tag", image, name]);
      await docker(["push", "--quiet", name]);
      const other = await startDocker(t);
      await other(["login", "--username", "admin", "--password-stdin", `127.0.0.1:${port}`], {
        input: password,
      });
      await other(["pull", "--quiet", name]);
      assert.equal(await imageId(other, name), await imageId(docker, image));
      await other(["tag", name, image]);
      await start(other, "pulled", await freePort(), "pulled");
      await other(["stop", "pulled"]);
      assert.equal(await exitCode(other, "pulled"), "0");
    },
  );

  await t.test("finishes what is under way when it is stopped", async () => {
    const { answer, end } = await beginUpload(`http://127.0.0.1:${port}`);
    const stopped = docker(["stop", "--time", "30", "first"]);
    await until("the end of listening", () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    end();
    assert.equal((await answer).status, 202);
    await stopped;
    assert.equal(await exitCode(docker, "first"), "0");
  });

  await t.test("keeps its data when a new container takes the volume", async () => {
    await docker(["rm", "first"]);
    await start(docker, "second", port, "first");
    const { stdout } = await docker([
      "exec",
      "--env",
      `STOWAGE_PASSWORD=${password}`,
      "second",
      "stowage",
      "tag",
      "list",
      "stowage",
    ]);
    assert.match(stdout, new RegExp(`^${version} `, "m"));
    await docker(["rm", "--force", "second"]);
  });

  await t.test("takes a volume as Kubernetes prepares it: of root, open to the pod's group", async (t) => {
    const volume = mkdtempSync(join(tmpdir(), "stowage-volume-"));
    afterTest(t, () => rmSync(volume, { recursive: true, force: true }));
    chownSync(volume, 0, 65532);
    chmodSync(volume, 0o2775);
    await start(docker, "claimed", port, volume);
    await docker(["restart", "claimed"]);
    await docker(["rm", "--force", "claimed"]);
  });
});
