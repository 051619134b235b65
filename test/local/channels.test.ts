/** Where there are no Unix sockets, the server and workerd talk over loopback, and know each other by a secret. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { workerdPid } from "../../src/local/workerd/process.ts";
import { secretHeader } from "../../src/machine.ts";
import { content, digestOf } from "../support/content.ts";
import { ready, recordedWorkerd, runtimes, startProgram, temporaryDirectory, until } from "./program.ts";

const main = join(import.meta.dirname, "..", "..", "src", "local", "main.ts");

test("over loopback nobody gets past the reverse proxy, and nobody else to the fsync service", async (t) => {
  const data = temporaryDirectory(t);
  const env = { STOWAGE_CHANNELS: "tcp" };
  const command = [...runtimes.node, main, "--port", "0", "--data", data, "--log", "none"];
  const server = startProgram(t, command, { data, env });
  const url = await ready(server);
  const commandLine = () => readFileSync(`/proc/${recordedWorkerd(data)}/cmdline`, "utf8");
  const ports = [...commandLine().matchAll(/=127\.0\.0\.1:(\d+)/g)].map(([, port]) => port);
  assert.equal(ports.length, 2, commandLine());

  const blob = content();
  const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(blob)}`;
  // What a client says to be the secret is not passed on.
  const pushed = await fetch(url + path, { method: "POST", body: blob, headers: { [secretHeader]: "none" } });
  assert.equal(pushed.status, 201, "the Worker and the fsync service are reached through the reverse proxy");
  for (const port of ports) {
    for (const headers of [{}, { [secretHeader]: "none" }, { [secretHeader]: "" }]) {
      const answer = await fetch(`http://127.0.0.1:${port}/v2/?limit=1`, { headers });
      assert.equal(answer.status, 403);
      assert.equal(await answer.text(), "");
    }
  }

  process.kill(workerdPid(data) ?? 0, "SIGKILL");
  await until("the restart", () => /and was started again/.test(server.stderr));
  assert.equal((await fetch(`${url}/v2/team/app/blobs/${digestOf(blob)}`)).status, 200);
});
