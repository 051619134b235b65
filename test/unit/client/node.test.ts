/** Large bodies in Node, which are not sent by its `fetch`: answers and failures are the same. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { exchange, mayPass } from "../../../src/client/exchange.ts";
import { systemFetch } from "../../../src/client/node.ts";
import { content } from "../../support/content.ts";
import { afterTest } from "../../support/ends.ts";

const fetch = systemFetch();
const body = content(3_000_000);

async function serve(t: TestContext, listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(t, () => server.closeAllConnections());
  afterTest(t, () => server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/upload?state=1`);
}

test("a large body arrives whole, with its headers, and so does the answer", async (t) => {
  const url = await serve(t, async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const { method, url: target, headers } = request;
    response.writeHead(202, { Location: "/next", "Set-Cookie": ["a=1", "b=2"] });
    response.end(
      JSON.stringify({
        method,
        target,
        length: headers["content-length"],
        range: headers["content-range"],
        isSame: Buffer.concat(pieces).equals(body),
      }),
    );
  });
  const headers = { "Content-Range": "0-2999999" };
  const answer = await exchange(fetch, url, { method: "PATCH", headers, body });
  assert.equal(answer.status, 202);
  assert.equal(answer.headers.get("Location"), "/next");
  assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.deepEqual(await answer.json(), {
    method: "PATCH",
    target: "/upload?state=1",
    length: "3000000",
    range: "0-2999999",
    isSame: true,
  });
});

test("answers without a body, and those that come before the end of the request's, are answers", async (t) => {
  for (const status of [204, 401, 413]) {
    const url = await serve(t, (_, response) => {
      response.writeHead(status, { Connection: "close" }).end();
    });
    const answer = await exchange(fetch, url, { method: "PUT", body });
    assert.deepEqual([answer.status, await answer.text()], [status, ""]);
  }
});

test("a connection that is refused or broken off may be tried again, and an end of the caller's is its own", async (t) => {
  const broken = await serve(t, (request) => request.socket.destroy());
  const nobody = new URL("http://127.0.0.1:1/");
  for (const [url, reason] of [
    [broken, /the connection was broken off/],
    [nobody, /nothing listens there/],
  ] as const) {
    const error = await exchange(fetch, url, { method: "PATCH", body }).catch((caught: unknown) => caught);
    assert(error instanceof Error && reason.test(error.message), String(error));
    assert(mayPass(error));
  }
  const controller = new AbortController();
  const silent = await serve(t, () => controller.abort(new Error("enough")));
  const { signal } = controller;
  await assert.rejects(exchange(fetch, silent, { method: "PATCH", body, signal }), /^Error: enough$/);
});
