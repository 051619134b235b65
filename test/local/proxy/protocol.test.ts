/** What the reverse proxy makes of requests as bytes: strict about what it reads, and alone in saying what workerd reads. */
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { describe } from "node:test";
import { connect as connectTls } from "node:tls";
import {
  answerAll,
  isAnswered,
  ok,
  type Passed,
  type Runtime,
  runtimes,
  startFrontProcess,
  startUpstream,
  statusOf,
  talk,
  untilClosed,
} from "./support.ts";

const get = (target: string, ...lines: string[]) =>
  `GET ${target} HTTP/1.1\r\n${["Host: localhost", ...lines].join("\r\n")}\r\n\r\n`;
const post = (lines: string[], body: string) =>
  `POST /v2/ HTTP/1.1\r\n${["Host: localhost", ...lines].join("\r\n")}\r\n\r\n${body}`;
/** A request that must not be taken for one of its own. */
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** Refused, with this status, before workerd hears of any of it. */
const refusals: [what: string, bytes: string, status: number][] = [
  [
    "a length beside chunks",
    post(["Content-Length: 5", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`),
    400,
  ],
  [
    "chunks beside a length",
    post(["Transfer-Encoding: chunked", "Content-Length: 5"], `0\r\n\r\n${smuggled}`),
    400,
  ],
  ["two lengths", post(["Content-Length: 5", "Content-Length: 6"], "hello!"), 400],
  ["the same length twice", post(["Content-Length: 5", "Content-Length: 5"], "hello"), 400],
  ["a list of lengths", post(["Content-Length: 5, 5"], "hello"), 400],
  ["a length with a sign", post(["Content-Length: +5"], "hello"), 400],
  ["a header that goes on in the next line", get("/v2/", "X-A: a", " b"), 400],
  ["an encoding in the next line", post(["Transfer-Encoding:", " chunked"], `0\r\n\r\n${smuggled}`), 400],
  ["lines that end with LF", "GET /v2/ HTTP/1.1\nHost: localhost\n\n", 400],
  ["a header that ends with LF", "GET /v2/ HTTP/1.1\r\nHost: localhost\nX-A: a\r\n\r\n", 400],
  ["a CR in a header", get("/v2/", "X-A: a\rb"), 400],
  ["a NUL in a header", get("/v2/", "X-A: a\0b"), 400],
  ["an escape in a header", get("/v2/", "X-A: \x1b[2J"), 400],
  ["an escape in the path", get("/v2/\x1b[2J"), 400],
  ["a control of eight bits in the path", get("/v2/\x9b2J"), 400],
  ["a space before the colon", get("/v2/", "X-A : a"), 400],
  ["another encoding", post(["Transfer-Encoding: gzip, chunked"], `0\r\n\r\n${smuggled}`), 501],
  [
    "an encoding that is not the last",
    post(["Transfer-Encoding: chunked, gzip"], `0\r\n\r\n${smuggled}`),
    400,
  ],
  [
    "an encoding twice",
    post(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`),
    400,
  ],
  [
    "another encoding, in a header of its own",
    post(["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`),
    501,
  ],
  ["an unknown encoding", post(["Transfer-Encoding: xchunked"], `0\r\n\r\n${smuggled}`), 501],
  ["chunks in HTTP/1.0", "POST /v2/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["an expectation that is none", post(["Expect: x", "Content-Length: 99999"], "hello"), 417],
  ["an expectation beside leave", post(["Expect: 100-continue, x", "Content-Length: 9"], "hello"), 417],
  ["no host", "GET /v2/ HTTP/1.1\r\n\r\n", 400],
  ["an empty host", "GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["two hosts", "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["a host that is none", "GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["a host with a path", "GET /v2/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["a host with a user", "GET /v2/ HTTP/1.1\r\nHost: u@a\r\n\r\n", 400],
  ["a host with a port that is none", "GET /v2/ HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400],
  ["a host that no URL can have", "GET /v2/ HTTP/1.1\r\nHost: 1.2.3.4.5\r\n\r\n", 400],
  ["an absolute form without a host", "GET http://a/v2/ HTTP/1.1\r\n\r\n", 400],
  ["an absolute form beside a host that is none", "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["an absolute form with a user", get("http://u@a/v2/"), 400],
  ["an absolute form of another scheme", get("ftp://a/v2/"), 400],
  ["an asterisk that is not for OPTIONS", get("*"), 400],
  ["a fragment", get("/v2/#a"), 400],
  ["no HTTP", "hello\r\n\r\n", 400],
  ["a method that is none", "FOO /v2/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["HTTP/1.2", "GET /v2/ HTTP/1.2\r\nHost: a\r\n\r\n", 400],
  ["HTTP/2.0 in words", "GET /v2/ HTTP/2.0\r\nHost: a\r\n\r\n", 505],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405],
  ["headers beyond 32 KiB", get("/v2/", `X-A: ${"a".repeat(33_000)}`), 431],
  ["more headers than 200", get("/v2/", ...Array<string>(200).fill("a:")), 431],
];

/** Passed on, as this text; `H` stands for the line with the address. */
const passedOn: [what: string, bytes: string, text: string][] = [
  ["a plain request", get("/v2/"), "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nH"],
  [
    "the absolute form: its authority is the host",
    get("http://example.org:5000/v2/?n=1"),
    "GET /v2/?n=1 HTTP/1.1\r\nHost: example.org:5000\r\nH",
  ],
  ["the absolute form without a path", get("HTTP://a?n=1"), "GET /?n=1 HTTP/1.1\r\nHost: a\r\nH"],
  ["HTTP/1.0 with a host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nH"],
  [
    "HTTP/1.0, which has no expectations",
    "GET / HTTP/1.0\r\nHost: a\r\nExpect: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nH",
  ],
  ["HTTP/1.0 in the absolute form", "GET http://a/ HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nH"],
  ["HTTP/1.0 without one", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nH"],
  [
    "what is for the connection alone is left out, and so is an address that the client claims",
    get(
      "/",
      "Connection: keep-alive, X-Own,  Stowage-Client-Address, host",
      "X-Own: 1",
      "Keep-Alive: timeout=9",
      "Proxy-Connection: keep-alive",
      "TE: trailers",
      "Trailer: X-A",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
      "stowage-CLIENT-address: 192.0.2.1",
      "X-Kept: a",
      "X-Kept: b",
    ),
    "GET / HTTP/1.1\r\nHost: localhost\r\nHX-Kept: a\r\nX-Kept: b\r\n",
  ],
  [
    "what only the reverse proxy may say is left out, in whatever case a client says it",
    get("/", "stowage-client-ADDRESS: 192.0.2.1", "STOWAGE-CHANNEL-SECRET: x", "stowage-files: yes"),
    "GET / HTTP/1.1\r\nHost: localhost\r\nH",
  ],
  [
    "chunks are cut anew, their extensions and trailers are left out",
    post(["Transfer-Encoding: chunked"], "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n"),
    "POST /v2/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nH\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n",
  ],
  [
    "a switch of protocols is not made",
    post(["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"], "hello"),
    "POST /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nH\r\nhello",
  ],
];

/** Answers once a request is there as a whole. */
function answerWhole(passed: Passed): void {
  const [, head = "", body = ""] = /^(.*?\r\n\r\n)(.*)$/s.exec(passed.text) ?? [];
  if (head === "") return;
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  const isWhole = /^transfer-encoding/im.test(head) ? body.endsWith("0\r\n\r\n") : body.length >= length;
  if (isWhole) passed.socket.write(ok("answer"));
}

for (const runtime of Object.keys(runtimes) as Runtime[]) {
  describe(`the reverse proxy under ${runtime}`, () => {
    test("refuses what is malformed or of two meanings, and passes none of it on", async (t) => {
      const { path, passed } = await startUpstream(t, answerAll);
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const [what, bytes, status] of refusals) {
        const answer = await talk(port, bytes, untilClosed);
        assert.equal(statusOf(answer), status, `${what}: ${answer}`);
        assert.match(answer, /\r\nConnection: close\r\n/i, what);
        assert.equal(/\r\nAllow: GET, /.test(answer), status === 405, what);
        const { errors } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
        assert.equal(typeof errors[0].message, "string");
        assert.equal(answer.split("HTTP/1.1").length, 2, `${what}: one answer`);
      }
      assert.deepEqual(
        passed.map(({ text }) => text),
        [],
      );
    });

    test("passes on what it has understood, in its own words", async (t) => {
      const { path, passed } = await startUpstream(t, answerWhole);
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const [what, bytes, text] of passedOn) {
        const before = passed.map((each) => each.text.length);
        assert.match(await talk(port, bytes), /\r\n\r\nanswer$/, what);
        const sent = passed.map((each, i) => each.text.slice(before[i] ?? 0)).join("");
        const expected = text.replace("PORT", String(port)).replace("H", "H");
        const line = "Stowage-Client-Address: 127.0.0.1\r\n";
        assert.equal(sent.replace(line, "H"), `${expected}\r\n`.replace("hello\r\n", "hello"), what);
      }
    });

    test("a chunk that is none breaks the request off, so that no part of it counts as a whole", async (t) => {
      const { path, passed } = await startUpstream(t, () => {});
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const bad of ["0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhelloX0\r\n\r\n"]) {
        const answer = await talk(port, post(["Transfer-Encoding: chunked"], bad), untilClosed);
        assert.equal(statusOf(answer), 400, answer);
        // Deno parses the whole of what it has read before it says that there is a request.
        for (const { socket, text } of passed.splice(0)) {
          if (!socket.closed) await once(socket, "close");
          assert(!text.endsWith("0\r\n\r\n"), text);
        }
      }
    });

    test("OPTIONS * is about the server, and is answered without workerd", async (t) => {
      const { path, passed } = await startUpstream(t, answerAll);
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const answer = await talk(port, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.match(answer, /^HTTP\/1\.1 204 No Content\r\nAllow: GET, HEAD, /);
      assert.equal(passed.length, 0);
    });

    test("ends a connection when it is asked to, and keeps it otherwise", async (t) => {
      const { path, passed } = await startUpstream(t, answerAll);
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      for (const bytes of [
        get("/", "Connection: close"),
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
      ]) {
        const answer = await talk(port, bytes, untilClosed);
        assert.match(answer, /\r\n\r\nanswer$/);
        assert.match(answer, /\r\nConnection: close\r\n/);
      }
      const two = await talk(port, get("/a") + get("/b"), (text) => text.split("answer").length === 3);
      assert.equal(two.split("HTTP/1.1 200 OK").length, 3);
      const kept = await talk(port, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      assert.match(kept, /\r\nConnection: keep-alive\r\n/i);
      assert.equal(passed.length, 1, "the connection to workerd is kept, too");
    });

    test("requests that are sent ahead are answered one after the other", async (t) => {
      const { path, passed } = await startUpstream(t, (one) => {
        if (one.text.includes("GET /b ")) answerAll(one);
        // By then the second would have come, on a connection of its own.
        else if (one.text.endsWith("x"))
          setImmediate(() => setImmediate(() => one.socket.write(ok("first"))));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const put = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
      const answers = await talk(port, put + get("/b"), (text) => text.endsWith("answer"));
      assert.match(answers, /first.*answer$/s);
      assert.equal(passed.length, 1);
    });

    test("requests that are sent ahead have the memory of one", async (t) => {
      const { path } = await startUpstream(t, () => {});
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const large = get("/ahead", `X: ${"x".repeat(15_000)}`);
      assert.equal(await talk(port, get("/first") + large.repeat(3), untilClosed), "");
    });

    test("sixteen small requests may be sent ahead", async (t) => {
      const { path } = await startUpstream(t, (one) => {
        setImmediate(() => setImmediate(() => answerAll(one)));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const isWhole = (text: string) => text.split("answer").length === 18;
      await talk(port, get("/first") + get("/ahead").repeat(16), isWhole);
    });

    test("and no more", async (t) => {
      const { path } = await startUpstream(t, () => {});
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      assert.equal(await talk(port, get("/first") + get("/ahead").repeat(17), untilClosed), "");
    });

    test("what is no request spoils no answer to those that came before it", async (t) => {
      const part = "PUT /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size\r\n";
      for (const broken of ["hello\r\n\r\n", part]) {
        const { path, passed } = await startUpstream(t, (one) => {
          // By then the rest would have been read.
          setImmediate(() => setImmediate(() => answerAll(one)));
        });
        const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
        const answers = await talk(port, get("/first") + get("/a") + broken, untilClosed);
        assert.match(answers, /^HTTP\/1\.1 200 .*answerHTTP\/1\.1 200 .*answerHTTP\/1\.1 400 /s, broken);
        assert(!passed.some(({ text }) => text.includes("/b")));
      }
    });

    test("nor does the wish for a tunnel", async (t) => {
      const { path } = await startUpstream(t, (one) => {
        setImmediate(() => setImmediate(() => answerAll(one)));
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const tunnel = "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n";
      const answers = await talk(port, get("/first") + get("/a") + tunnel, untilClosed);
      assert.match(answers, /^HTTP\/1\.1 200 .*answerHTTP\/1\.1 200 .*answerHTTP\/1\.1 405 /s);
    });

    test("who tries TLS is told at once that this is HTTP: docker does so first, and waits long", async (t) => {
      const { path } = await startUpstream(t, answerAll);
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const client = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
      const [error] = await once(client, "error").catch((reason: unknown) => [reason]);
      assert.match(String(error.code), /^ERR_SSL_/);
    });

    test("an answer in chunks arrives whole, and one that breaks off breaks the connection off", async (t) => {
      const { path } = await startUpstream(t, ({ text, socket }) => {
        const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
        socket.write(head);
        setImmediate(() => {
          if (!text.includes("GET /broken ")) socket.write("lo\r\n1;x\r\n!\r\n0\r\nX: y\r\n\r\n");
          else socket.destroy();
        });
      });
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const whole = await talk(port, get("/whole"), (text) => text.endsWith("0\r\n\r\n"));
      assert.equal(whole.slice(whole.indexOf("\r\n\r\n")).replace(/\r\n(?:[0-9a-f]+\r\n)?/g, ""), "hello!");
      const broken = await talk(port, get("/broken"), untilClosed);
      assert(!broken.endsWith("0\r\n\r\n"), broken);
    });

    test("HEAD has the headers of an answer and no body", async (t) => {
      const { path } = await startUpstream(t, ({ socket }) =>
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1234567890123\r\n\r\n"),
      );
      const { port } = await startFrontProcess(t, runtime, { upstream: { path } });
      const head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
      const answers = await talk(port, head + head, (text) => text.split("1234567890123\r\n").length === 3);
      assert.equal(answers.split("\r\n\r\n").length, 3);
    });

    for (const [trustForwarded, address] of [
      [false, "127.0.0.1"],
      [true, "198.51.100.7"],
    ] as const) {
      test(`the address is ${trustForwarded ? "what the proxy has added" : "that of the connection"}`, async (t) => {
        const { path, passed } = await startUpstream(t, answerAll);
        const { port } = await startFrontProcess(t, runtime, { upstream: { path }, trustForwarded });
        await talk(port, get("/", "X-Forwarded-For: 192.0.2.1, 198.51.100.7"));
        assert.match(passed[0]?.text ?? "", new RegExp(`\\r\\nStowage-Client-Address: ${address}\\r\\n`));
      });
    }
  });
}

test("isAnswered sees interim answers", () => {
  assert(!isAnswered("HTTP/1.1 100 Continue\r\n\r\n"));
  assert(isAnswered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"));
});
