import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { runtimes } from "../../local/program.ts";
import { endAfterTest } from "../../support/ends.ts";
import { after } from "../../support/ends-of-files.ts";
import { assertRefused, call } from "../command-line.ts";

const folder = join(import.meta.dirname, "..", "..", "local", "tls");
const [certFile, keyFile] = [join(folder, "localhost.crt"), join(folder, "localhost.key")];
const [cert, key] = [readFileSync(certFile, "utf8"), readFileSync(keyFile, "utf8")];

const server = createServer({ cert, key }, (_, response) => response.writeHead(200).end("{}"));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
after(() => {
  server.closeAllConnections();
  server.close();
});

const registry = `https://localhost:${port}`;
const none = { DOCKER_CONFIG: "/nonexistent" };

test("a registry whose certificate is not trusted is not asked", async () => {
  const args = ["proxy", "--to", registry, "--listen", "127.0.0.1:0", "--once", "true"];
  assertRefused(await call(args, none), 1, /cannot reach https:\S+: its certificate is not trusted; /);
});

for (const [runtime, [program = "", ...flags]] of Object.entries(runtimes)) {
  test(`under ${runtime}, it is with --ca; and --allow-remote serves over TLS`, async (t) => {
    const own = ["--allow-remote", "--tls-cert", certFile, "--tls-key", keyFile];
    const args = [
      "src/cli/main.ts",
      "proxy",
      "--to",
      registry,
      "--ca",
      certFile,
      "--listen",
      "0.0.0.0:0",
      ...own,
    ];
    const child = spawn(program, [...flags, ...args], {
      env: { ...process.env, ...none },
      stdio: ["ignore", "ignore", "pipe"],
    });
    endAfterTest(t, child);
    const [line] = await once(createInterface({ input: child.stderr }), "line");
    const [, listening] = /0\.0\.0\.0:(\d+) stands for/.exec(line) ?? [];
    assert(listening !== undefined, line);
    const request = httpsRequest({
      host: "127.0.0.1",
      servername: "localhost",
      port: listening,
      path: "/v2/",
      ca: cert,
    });
    request.end();
    const [response] = await once(request, "response");
    assert.equal(response.statusCode, 200);
    response.resume();
  });
}
