import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import test from "node:test";
import { runtimes } from "../../local/program.ts";
import { endAfterTest } from "../../support/ends.ts";
import { startRegistry } from "../../support/registry.ts";
import { answer, fakeRegistry } from "../../unit/client/fake-registry.ts";
import { assertRefused, call } from "../command-line.ts";
import { send } from "./support.ts";

const open = await fakeRegistry((_, response) => answer(response, 200));
const closed = await startRegistry({ vars: { ADMIN_PASSWORD: "correct horse battery" } });

const listen = ["--listen", "127.0.0.1:0"];
const none = { DOCKER_CONFIG: "/nonexistent" };

test("wrong usage is one line, and exit code 2", async () => {
  const to = ["--to", open.url.href];
  const cases: [args: string[], message: RegExp][] = [
    [[], /needs --to/],
    [["--to", "ftp://registry.example.org"], /is no address of a registry/],
    [["--to", "https://a:b@registry.example.org"], /is no address of a registry/],
    [[...to, "--listen", "5001"], /is no HOST:PORT/],
    [[...to, "--listen", "0.0.0.0:5001"], /--allow-remote says that it is meant/],
    [[...to, "--listen", "0.0.0.0:5001", "--allow-remote"], /needs --tls-cert and --tls-key/],
    [[...to, "--tls-cert", "/dev/null"], /go together/],
    [[...to, "--chunk", "1KB"], /out of range/],
    [[...to, "--chunk", "100MB"], /out of range/],
    [[...to, "--chunk", "many"], /is no size/],
    [[...to, "--password-stdin"], /needs --username/],
    [[...to, "--username", "ann"], /the password of ann is needed/],
    [[...to, "--once"], /--once needs a command/],
    [[...to, "--url", "http://127.0.0.1:5000"], /there is no flag --url/],
    [[...to, "again"], /takes no arguments/],
  ];
  for (const [args, message] of cases) assertRefused(await call(["proxy", ...args], none), 2, message);
  const files = ["--tls-cert", "/dev/null", "--tls-key", "/dev/null", "--allow-remote"];
  assertRefused(
    await call(["proxy", ...to, ...files, "--username", "ann"], none),
    2,
    /clients log in themselves/,
  );
});

test("a destination that is down, that is no registry, or that lets nobody in, is one line, and exit code 1", async () => {
  const page = await fakeRegistry((_, response) => {
    response.writeHead(404, { "Content-Type": "text/html" }).end("<html>");
  });
  const once = ["--once", "true"];
  const refusedWith = async (to: string, message: RegExp, args: string[] = [], stdin = "") =>
    assertRefused(await call(["proxy", "--to", to, ...listen, ...args, ...once], none, stdin), 1, message);
  await refusedWith("http://127.0.0.1:1", /cannot reach http:\/\/127\.0\.0\.1:1: /);
  await refusedWith(page.url.href, /does not answer as a registry does \(status 404\): is --to right\?/);
  await refusedWith(`https://${open.url.host}`, /the server speaks http, not https/);
  const login = ["--username", "admin", "--password-stdin"];
  await refusedWith(closed.url, /gives no token: .*wrong password/, login, "not the password");
  await refusedWith("http://no-such-host.invalid", /there is no such host/);
});

test("--once runs a command beside the proxy, with its address, and ends with its exit code", async () => {
  const script =
    'fetch("http://" + process.env.STOWAGE_PROXY + "/v2/", { headers: { "Sec-Fetch-Site": "none" } }).then((answer) => process.exit(answer.status === 200 ? 7 : 1))';
  const login = ["--username", "admin", "--password-stdin"];
  const command = ["--once", process.execPath, "-e", script, "--", "--version", "--help"];
  const done = await call(
    ["proxy", "--to", closed.url, ...listen, ...login, ...command],
    none,
    "correct horse battery",
  );
  assert.equal(done.code, 7, done.stderr);
  assert.match(
    done.stderr,
    /^stowage: 127\.0\.0\.1:\d+ stands for http:.*: chunks of 32\.0 MiB, with credentials of its own\n$/,
  );
  const absent = await call(["proxy", "--to", open.url.href, ...listen, "--once", "no-such-program"], none);
  assert.equal(absent.code, 1);
  assert.match(absent.stderr, /^stowage: cannot run no-such-program: /m);
  const killed = await call(
    ["proxy", "--to", open.url.href, ...listen, "--once", "sh", "-c", "kill -9 $$"],
    none,
  );
  assert.equal(killed.code, 137);
});

for (const [runtime, [program = "", ...flags]] of Object.entries(runtimes)) {
  test(`under ${runtime} it serves until it is told to end`, async (t) => {
    const args = [...flags, "src/cli/main.ts", "proxy", "--to", open.url.href, ...listen];
    const child = spawn(program, args, {
      env: { ...process.env, ...none },
      stdio: ["ignore", "ignore", "pipe"],
    });
    endAfterTest(t, child);
    const [line] = await once(createInterface({ input: child.stderr }), "line");
    const [, host = ""] = /(127\.0\.0\.1:\d+) stands for/.exec(line) ?? [];
    assert.equal((await send(host, "GET", "/v2/")).status, 200, line);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
  });
}
