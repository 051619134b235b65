/** The example of docs/webhooks.md: what docker or skopeo pushes is deployed, by its digest, and only where it is signed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { type TestContext } from "node:test";
import { projectDirectory } from "../../src/local/workerd/bundle.ts";
import { temporaryDirectory, until } from "../local/program.ts";
import { endAfterTest } from "../support/ends.ts";
import { buildImage, dockerPrograms, startDocker } from "./support/docker.ts";
import { writeIndex } from "./support/oci-layout.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { send } from "./support/raw-client.ts";
import { freePort, type Server, startServer } from "./support/server.ts";

const secret = "between the registry and the listener";
const vars = { WEBHOOK_ALLOW_PRIVATE: "yes" };

type Listener = { url: string; deployed(): Promise<string[]> };

/** Starts the example, to pull from a registry, with a script that writes down what it is to deploy. */
async function startListener(t: TestContext, registry: string): Promise<Listener> {
  const directory = temporaryDirectory(t);
  const log = join(directory, "deployed");
  const script = join(directory, "deploy.sh");
  await writeFile(log, "");
  await writeFile(script, `echo "$REPOSITORY $TAG $DIGEST $IMAGE" >> "${log}"\n`);
  const listen = join(projectDirectory, "examples", "redeploy", "listen.mjs");
  const child = spawn(process.execPath, [listen, "sh", script], {
    env: { ...process.env, WEBHOOK_SECRET: secret, REGISTRY: registry, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  endAfterTest(t, child);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const [address] = /[\d.]+:\d+$/.exec(line) ?? [];
  assert(address !== undefined, line);
  const deployed = async () => (await readFile(log, "utf8")).split("\n").filter((each) => each !== "");
  return { url: `http://${address}/`, deployed };
}

async function createWebhook(server: Server, url: string): Promise<void> {
  const body = { url, events: ["manifest.push"], repository: "shop/*", secret };
  const response = await fetch(`${server.url}/api/v1/webhooks`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 201, await response.text());
}

async function digestOf(server: Server, repository: string, tag: string): Promise<string> {
  const accept =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";
  const url = `${server.url}/v2/${repository}/manifests/${tag}`;
  const answer = await send(url, { method: "HEAD", headers: { Accept: accept } });
  return String(answer.headers["docker-content-digest"]);
}

/** Waits for the script to have run for this push, once. */
async function isDeployed({ deployed }: Listener, server: Server, repository: string, tag: string) {
  const digest = await digestOf(server, repository, tag);
  const line = `${repository} ${tag} ${digest} ${server.host}/${repository}@${digest}`;
  await until("the deployment", async () => (await deployed()).includes(line) || undefined);
  assert.equal((await deployed()).filter((each) => each === line).length, 1);
}

test("what docker pushes is deployed", async (t) => {
  if (!hasPrograms(t, ...dockerPrograms)) return;
  const docker = await startDocker(t);
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort(), vars });
  const listener = await startListener(t, server.host);
  await createWebhook(server, listener.url);
  const image = `${server.host}/shop/app:v1`;
  await buildImage(t, docker, image, [100_000]);
  await docker(["push", "--quiet", image]);
  await isDeployed(listener, server, "shop/app", "v1");
  await server.stop();
});

test("what skopeo pushes is deployed, each tag by itself, and nothing that is not signed", async (t) => {
  if (!hasPrograms(t, "skopeo")) return;
  const server = await startServer(t, { data: temporaryDirectory(t), port: await freePort(), vars });
  const listener = await startListener(t, server.host);
  await createWebhook(server, listener.url);
  const layout = await writeIndex(join(temporaryDirectory(t), "image"), "v1");
  const copy = (name: string) => {
    const flags = ["--insecure-policy", "copy", "--all", "--dest-tls-verify=false"];
    return run("skopeo", [...flags, `oci:${layout.directory}:v1`, `docker://${server.host}/${name}`]);
  };
  for (const tag of ["v1", "v2"]) await copy(`shop/web:${tag}`);
  await copy("elsewhere:v1");
  for (const tag of ["v1", "v2"]) await isDeployed(listener, server, "shop/web", tag);
  const forged = JSON.stringify({ events: [{ id: "1", action: "push", target: { tag: "x" }, request: {} }] });
  for (const signature of ["", `t=${Math.floor(Date.now() / 1000)},v1=${"0".repeat(64)}`]) {
    const headers = { "Stowage-Signature": signature };
    assert.equal((await fetch(listener.url, { method: "POST", headers, body: forged })).status, 401);
  }
  // The manifests of each architecture are pushed by digest, and only tags are deployed.
  assert.equal((await listener.deployed()).length, 2);
  await server.stop();
});
