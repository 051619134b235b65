/** The CA of docs/air-gapped.md, by its commands as they are written: who has its certificate trusts the server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import test from "node:test";
import { ready, startProgram, temporaryDirectory } from "../local/program.ts";
import { commandsOf } from "./support/page-commands.ts";
import { hasPrograms, run } from "./support/programs.ts";
import { serverCommands } from "./support/server.ts";

test("a server with a certificate of one's own CA is trusted by who trusts that", async (t) => {
  if (!hasPrograms(t, "openssl")) return;
  const [directory, data] = [temporaryDirectory(t), temporaryDirectory(t)];
  const commands = commandsOf("air-gapped.md", "ca").replace("192.168.1.10", "127.0.0.1");
  await run("sh", ["-eu", "-c", `cd "$1"; ${commands}`, "sh", directory]);
  const file = (name: string) => join(directory, name);
  const tls = ["--tls-cert", file("server.crt"), "--tls-key", file("server.key")];
  const server = startProgram(t, [...serverCommands.node, "--port", "0", "--data", data, ...tls], {
    data,
    env: { ADMIN_PASSWORD: "correct horse battery staple" },
  });
  const url = `${await ready(server)}/readyz`;
  const answered = once(get(url, { ca: readFileSync(file("ca.crt")) }), "response");
  const [response] = (await answered) as [IncomingMessage];
  response.resume();
  assert.equal(response.statusCode, 200);
  await assert.rejects(once(get(url), "response"), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
});
