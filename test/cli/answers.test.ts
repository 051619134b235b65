import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import test from "node:test";
import { Layout } from "../../src/cli/backup/layout.ts";
import { Connection } from "../../src/cli/connection.ts";
import { Layers } from "../../src/cli/layers.ts";
import { reasonOf } from "../../src/client/exchange.ts";
import type { Digest } from "../../src/oci/reference.ts";
import { afterTest } from "../support/ends.ts";
import { assertRefused, call } from "./command-line.ts";

type Handler = (url: URL, response: ServerResponse, authorization: string | undefined) => void;

/** Something at an address, which answers as it likes. */
async function serverOf(t: test.TestContext, handler: Handler): Promise<string> {
  const server = createServer((request, response) => {
    handler(new URL(request.url ?? "", "http://localhost"), response, request.headers.authorization);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(t, () => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return typeof address === "object" ? `http://127.0.0.1:${address?.port}` : "";
}

const problem = { "Content-Type": "application/problem+json" };

test("lists are read to their last page, under a path as well, and no further than is asked for", async (t) => {
  const asked: string[] = [];
  const url = await serverOf(t, ({ pathname, searchParams }, response, authorization) => {
    asked.push(`${pathname} ${authorization}`);
    const first = Number(searchParams.get("last") ?? 0);
    const entries = [1, 2].map((step) => ({ id: first + step, time: "", actor: `a${first + step}` }));
    const link = `<${pathname}?n=2&last=${first + 2}>; rel="next"`;
    response.writeHead(200, first < 4 ? { Link: link } : {}).end(JSON.stringify({ entries }));
  });
  const environment = { STOWAGE_URL: `${url}/stowage/`, STOWAGE_PASSWORD: "pa:ss" };
  for (const [limit, length] of [
    ["100", 6],
    ["3", 3],
  ] as const) {
    const { code, stdout } = await call(["audit", "--json", "--limit", limit], environment);
    assert.deepEqual([code, JSON.parse(stdout).length], [0, length]);
  }
  const expected = `/stowage/api/v1/audit Basic ${Buffer.from("admin:pa:ss").toString("base64")}`;
  assert.deepEqual(asked, Array(5).fill(expected));
});

test("an export writes nowhere but below its directory, whatever the registry calls its repositories", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stowage-export-"));
  afterTest(t, () => rmSync(directory, { recursive: true, force: true }));
  const url = await serverOf(t, ({ pathname }, response) => {
    const isList = pathname === "/api/v1/repositories";
    const repositories = [{ name: "../outside", visibility: "private", description: "" }];
    response.end(JSON.stringify(isList ? { repositories } : { manifests: [] }));
  });
  const refused = await call(["export", join(directory, "backup")], { STOWAGE_URL: url });
  assertRefused(refused, 1, /lists "\.\.\/outside", which is no name of a repository/);
  assert.deepEqual(readdirSync(directory), []);
});

test("what a registry says of a layer moves no cursor", () => {
  let said = "";
  const stream = new Writable({
    write(text, _, done) {
      said += text;
      done();
    },
  });
  new Layers(stream).begin("layer").failed("\u001b[2Jgone\nstowage: pushed");
  assert.equal(said, "layer: \\u{1b}[2Jgone\\u{a}stowage: pushed after 0 B\n");
});

test("what a README says moves no cursor in a terminal, and goes to other programs as it is", async (t) => {
  const readme = "# App\r\n\tone\u001b[2J\u001b]0;title\u0007\u202e\n";
  const url = await serverOf(t, (_, response) => response.end(JSON.stringify({ readme })));
  const shown = (isTerminal: boolean) =>
    call(["repo", "readme", "team/app"], { STOWAGE_URL: url }, "", isTerminal);
  assert.equal((await shown(true)).stdout, "# App\n\tone\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{202e}\n");
  assert.equal((await shown(false)).stdout, readme);
});

test("JSON and secrets move no cursor in a terminal, and are the same for a program", async (t) => {
  const secret = "a\u009b2J\u202e\u{e0001}\n\u2028b";
  const url = await serverOf(t, (_, response) => response.end(JSON.stringify({ id: "1", secret })));
  const make = (flags: string[], isTerminal: boolean) =>
    call(["token", "create", "ci", "--description", "x", ...flags], { STOWAGE_URL: url }, "", isTerminal);
  const { stdout } = await make(["--json"], true);
  assert.equal(JSON.parse(stdout).secret, secret);
  assert.match(stdout, /^[\n\x20-\x7e]*$/);
  assert.equal(
    (await make(["--json"], false)).stdout,
    `${JSON.stringify({ id: "1", secret }, undefined, 2)}\n`,
  );
  assert.equal((await make([], false)).stdout, `${secret}\n`);
  assert.match((await make([], true)).stdout, /^a\\u\{9b\}2J[\n\x20-\x7e]*$/);
});

test("a registry without upstreams is said to have none", async (t) => {
  const url = await serverOf(t, (_, response) => response.end('{"upstreams": []}'));
  const { stdout, stderr } = await call(["upstream", "list"], { STOWAGE_URL: url });
  assert.deepEqual([stdout, stderr], ["", "there are no upstreams\n"]);
});

test("tags are read to their last page", async (t) => {
  const url = await serverOf(t, ({ pathname, searchParams }, response) => {
    const isFirst = searchParams.get("last") === null;
    const link = `<${pathname}?n=100&last=b>; rel="next"`;
    response.writeHead(200, isFirst ? { Link: link } : {});
    const [digest, updatedAt] = ["sha256:1", "2026-11-29T10:00:00Z"];
    const tags = (isFirst ? ["a", "b"] : ["c"]).map((tag) => ({ tag, digest, updatedAt }));
    response.end(JSON.stringify({ tags }));
  });
  const { stdout } = await call(["tag", "list", "team/app"], { STOWAGE_URL: `${url}/stowage` });
  assert.deepEqual(
    stdout.match(/^[a-c] +sha256:1 .*$/gm)?.map((line) => line[0]),
    ["a", "b", "c"],
  );
});

test("what does not answer as a registry does is told for tags as well", async (t) => {
  for (const [status, body, message] of [
    [200, "<html>", /does not answer as Stowage does \(status 200\)/],
    [200, "{}", /does not answer as Stowage does \(status 200\)/],
    [404, "<html>", /does not answer as Stowage does \(status 404\)/],
    [502, "<html>", /does not answer as Stowage does \(status 502\)/],
    [401, '{"code": "UNAUTHORIZED", "title": "no"}', /the registry asks for credentials: /],
  ] as const) {
    const url = await serverOf(t, (_, response) => {
      const isJson = body.startsWith("{");
      response.writeHead(status, isJson ? { "Content-Type": "application/problem+json" } : {}).end(body);
    });
    assertRefused(await call(["tag", "list", "team/app"], { STOWAGE_URL: url }), 1, message);
  }
});

const answers: [name: string, handler: Handler, message: RegExp][] = [
  [
    "a redirect, which credentials do not follow",
    (_, response) => response.writeHead(301, { Location: "https://other.example/" }).end(),
    /sends on to https:\/\/other\.example\/: give the registry's own address with --url$/m,
  ],
  [
    "a page elsewhere, which credentials do not follow",
    (_, response) =>
      response.setHeader("Link", '<http://other.example/>; rel="next"').end('{"accounts": [{"name": "a"}]}'),
    /the next page is at http:\/\/other\.example, which is not the registry's address$/m,
  ],
  [
    "a page that leads back to itself",
    (url, response) =>
      response.setHeader("Link", `<${url.pathname}${url.search}>; rel="next"`).end('{"accounts": []}'),
    /gives a list without an end$/m,
  ],
  [
    "a page at no address",
    (_, response) => response.setHeader("Link", '<http://[>; rel="next"').end('{"accounts": []}'),
    /the next page is at an address that is none/,
  ],
  ["a website", (_, response) => response.end("<html>"), /does not answer as Stowage does \(status 200\)/],
  ["nothing", (_, response) => response.end(), /does not answer as Stowage does \(status 200\)/],
  ["null", (_, response) => response.end("null"), /does not answer as Stowage does \(status 200\)/],
  ["other JSON", (_, response) => response.end("{}"), /does not answer as Stowage does/],
  ["another API's error", (_, response) => response.writeHead(404).end("{}"), /does not answer .* 404\)/],
  [
    "broken problem details",
    (_, response) => response.writeHead(400, problem).end("{"),
    /does not answer as Stowage does \(status 400\)/,
  ],
  [
    "a limit",
    (_, response) =>
      response.writeHead(429, { ...problem, "Retry-After": "60" }).end('{"title": "too many requests"}'),
    /: too many requests; try again in 60 s$/m,
  ],
  [
    "a failure, with the id by which the log tells more",
    (_, response) =>
      response.writeHead(500, problem).end('{"title": "the registry failed", "requestId": "r1"}'),
    /: the registry failed \(request r1\)$/m,
  ],
  [
    "details",
    (_, response) => response.writeHead(404, problem).end('{"title": "no", "detail": {"name": "x"}}'),
    /: no: \{"name":"x"\}$/m,
  ],
  [
    "an answer that breaks off",
    (_, response) => response.write('{"accounts": [', () => response.destroy()),
    /cannot read all that http:\S+ answers: the answer broke off: /,
  ],
  [
    "an answer without an end",
    (_, response) => {
      const more = () => void response.write(Buffer.alloc(1024 * 1024, " "), (error) => error ?? more());
      more();
    },
    /does not answer as Stowage does \(status 200\)/,
  ],
  [
    "an error without an end",
    (_, response) => {
      const more = () => void response.write(Buffer.alloc(1024 * 1024, " "), (error) => error ?? more());
      response.writeHead(400, problem);
      more();
    },
    /does not answer as Stowage does \(status 400\)/,
  ],
  ["a broken connection", (_, response) => void response.destroy(), /cannot reach http:\S+: the connection /],
];

test("whatever is at the address, the answer is told in a line and exits with 1", async (t) => {
  for (const [name, handler, message] of answers) {
    const url = await serverOf(t, handler);
    const environment = { STOWAGE_URL: url, STOWAGE_PASSWORD: "x" };
    await t.test(name, async () => assertRefused(await call(["account", "list"], environment), 1, message));
  }
  const gone = await call(["account", "list", "--url", "http://127.0.0.1:9"], {});
  assertRefused(gone, 1, /cannot reach http:\/\/127\.0\.0\.1:9: /);
});

test("a server that speaks http is told from one that is away, as Node and as Deno say it", async (t) => {
  const url = await serverOf(t, (_, response) => response.end());
  const spoken = "the server speaks http, not https: write its address with http://";
  const refused = await call(["account", "list"], { STOWAGE_URL: url.replace("http:", "https:") });
  assertRefused(refused, 1, new RegExp(`cannot reach https:\\S+: ${spoken}$`, "m"));
  const cause = new Error("client error (Connect): received corrupt message of type InvalidContentType");
  assert.equal(reasonOf(new TypeError("error sending request", { cause })), spoken);
});

test("an error in a terminal has a line of its own, and none of the progress before", async (t) => {
  const checked = { blobs: 1, bytes: 1, links: 0, manifests: 0, tags: 0, keys: 0 };
  const piece = { checked, repaired: [], problems: [], refused: [], unchecked: [], cursor: "next" };
  let asked = 0;
  const url = await serverOf(t, (_, response) => {
    if (asked++ === 0) response.end(JSON.stringify(piece));
    else response.writeHead(500, problem).end('{"title": "the registry failed", "requestId": "r1"}');
  });
  const { code, stderr } = await call(["scrub"], { STOWAGE_URL: url }, "", true);
  assert.equal(code, 1);
  const [begun, progress = "", said] = stderr.split("\r\u001b[K");
  assert.match(progress, /^\[#+\] 1\/1 /);
  assert.deepEqual([begun, said], ["", "stowage: the registry failed (request r1)\n"]);
});

test("an answer that breaks off is asked for again, if that does no harm", async (t) => {
  const requests: string[] = [];
  const url = await serverOf(t, (_, response) => {
    requests.push(`${response.req.method}`);
    if (requests.length % 2 === 1) response.write("{", () => response.destroy());
    else response.end('{"freed": {}, "accounts": []}');
  });
  for (const args of [["account", "list"], ["gc"]])
    assert.equal((await call([...args, "--json"], { STOWAGE_URL: url })).code, 0, args.join(" "));
  const once = await call(["token", "create", "ci", "--description", "x"], { STOWAGE_URL: url });
  assertRefused(once, 1, /: the answer broke off: /);
  assert.deepEqual(requests, ["GET", "GET", "POST", "POST", "POST"]);
});

test("an answer that may take any time begins within a minute, and does not stand still", async (t) => {
  const { promise: isAsked, resolve } = Promise.withResolvers<void>();
  const url = new URL(await serverOf(t, () => resolve()));
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const connection = new Connection({ url, user: "admin", password: undefined });
  const sent = assert.rejects(connection.send(url, { method: "GET" }), /: no answer within 60 s$/);
  await isAsked;
  t.mock.timers.tick(60_000);
  await sent;

  const directory = mkdtempSync(join(tmpdir(), "stowage-layout-"));
  afterTest(t, () => rmSync(directory, { recursive: true, force: true }));
  const digest = `sha256:${"0".repeat(64)}` as Digest;
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({ pull: () => begin() }, { highWaterMark: 0 });
  const writing = new Layout(directory).write(digest, body, () => {});
  await begun;
  await new Promise(setImmediate);
  t.mock.timers.tick(300_000);
  await assert.rejects(writing, /the bytes of sha256:0+ broke off: nothing came for 300 s$/);
  assert.deepEqual(readdirSync(directory), ["blobs"]);
});

test("a request whose connection breaks off is sent again, if that does no harm", async (t) => {
  const requests: string[] = [];
  const url = await serverOf(t, (_, response) => {
    requests.push(`${response.req.method}`);
    // As when a connection that was kept is closed while it is used again.
    if (requests.length % 2 === 1) response.destroy();
    else response.end('{"freed": {}, "accounts": []}');
  });
  const environment = { STOWAGE_URL: url };
  for (const args of [["account", "list"], ["gc"]]) {
    assert.equal((await call([...args, "--json"], environment)).code, 0, args.join(" "));
  }
  const once = await call(["token", "create", "ci", "--description", "x"], environment);
  assertRefused(once, 1, /: the connection was broken off$/m);
  assert.deepEqual(requests, ["GET", "GET", "POST", "POST", "POST"]);
});
