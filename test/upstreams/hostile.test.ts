/** Upstreams that are broken or hostile: what is survived, and what is refused, so that nothing of it is stored. */
import assert from "node:assert/strict";
import test, { afterEach, describe } from "node:test";
import { gzipSync } from "node:zlib";
import { imageManifestType } from "../../src/oci/media-type.ts";
import { content, digestOf, encode, mebibyte } from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";
import { end, type Script, ScriptedUpstream } from "../support/upstream.ts";

const upstream = await ScriptedUpstream.start();
const UPSTREAMS = upstream.settings();
const patient = await startTimedRegistry({ vars: { UPSTREAMS } });
/** Soon gives up an upstream that hangs; others may be slower than that, on a machine with much to do. */
const impatient = await startTimedRegistry({ vars: { UPSTREAMS, UPSTREAM_TIMEOUT: "400ms" } });
const { registry } = patient;

let count = 0;

/** A repository of its own for a test, with a blob of this size, and how to pull that. */
function withBlob(sizeBytes: number, isDescribed = false) {
  const name = `team/hostile${++count}`;
  const { layers } = upstream.addImage(name, [sizeBytes], "v1");
  const [bytes = new Uint8Array()] = layers;
  const digest = digestOf(bytes);
  const path = `/v2/up/${name}/blobs/${digest}`;
  const script = (run: Script, times = 1) => upstream.script("GET", new RegExp(digest), run, times);
  const describeIt = () => registry.must(200, "GET", `/v2/up/${name}/manifests/v1`);
  return { name, bytes, digest, path, script, ready: isDescribed ? describeIt() : Promise.resolve() };
}

/** Pulls what must not arrive whole; resolves with the status, or `broken` where the connection broke. */
async function refusedPull(path: string, { registry } = patient): Promise<number | "broken"> {
  try {
    return (await registry.send("GET", path)).status;
  } catch (error) {
    assert.match(String(error), /aborted|ECONNRESET|terminated/);
    return "broken";
  }
}

/** Asserts that nothing of a blob is here, also with an upstream that is offline now. */
async function assertNothingOf(name: string, digest: string, { registry, advance } = patient): Promise<void> {
  upstream.unscript();
  upstream.remove(name, digest);
  await advance(120_000);
  await registry.must(404, "GET", `/v2/up/${name}/blobs/${digest}`);
  const { objects } = await (await registry.bucket()).list();
  assert.deepEqual(
    objects.map(({ key }) => key).filter((key) => !stored.has(key)),
    [],
  );
}

/** The keys that pulls which succeeded have left. */
const stored = new Set<string>();

afterEach(async () => {
  upstream.unscript();
  for (const { registry, advance } of [patient, impatient]) {
    // What failed does not keep the upstream from being asked again.
    await advance(120_000);
    for (const { key } of (await (await registry.bucket()).list()).objects) stored.add(key);
  }
});

describe("survived:", () => {
  test("a reset in the middle, after which the rest is asked for", async () => {
    const { bytes, path, script, digest } = withBlob(12 * mebibyte);
    script((_, response) => {
      response.writeHead(200, { "Content-Length": bytes.byteLength });
      response.write(bytes.subarray(0, 7 * mebibyte), () => response.destroy());
    });
    upstream.forget();
    assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
    const ranges = upstream.seen.map(({ headers }) => headers.range).filter((range) => range !== undefined);
    assert.equal(ranges.length, 1);
    assert.match(ranges[0] ?? "", /^bytes=[1-9]\d*-$/);
  });

  test("a reset in the middle, by an upstream that has no ranges", async () => {
    const { bytes, path, script, digest } = withBlob(12 * mebibyte);
    script((_, response) => {
      response.writeHead(200, { "Content-Length": bytes.byteLength });
      response.write(bytes.subarray(0, 7 * mebibyte), () => response.destroy());
    });
    script((_, response) => end(response, 200, {}, bytes), 2);
    assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  });

  test("no length, where a manifest says it", async () => {
    const { bytes, path, script, digest, ready } = withBlob(300_000, true);
    await ready;
    script((_, response) => {
      response.writeHead(200, { "Transfer-Encoding": "chunked" });
      response.end(bytes);
    });
    const answer = await registry.must(200, "GET", path);
    assert.equal(digestOf(answer.bytes), digest);
    assert.equal(answer.header("Content-Length"), "300000");
  });

  test("no length at all: the blob comes when all of it is verified", async () => {
    const { bytes, script, digest, path } = withBlob(300_000);
    script((_, response) => {
      response.writeHead(200, { "Transfer-Encoding": "chunked" });
      response.end(bytes);
    });
    assert.equal(digestOf((await registry.must(200, "GET", path)).bytes), digest);
  });

  test("a HEAD whose length is not that of the blob, where a manifest says it", async () => {
    const { digest, path, ready, bytes } = withBlob(300_000, true);
    await ready;
    const compressed: Script = (_, response) => {
      response.writeHead(200, { "Content-Encoding": "gzip", "Content-Length": 17 });
      response.end();
    };
    const unsaid: Script = (_, response) => {
      response.writeHead(200, { "Transfer-Encoding": "chunked" });
      response.end();
    };
    for (const run of [compressed, unsaid]) {
      upstream.script("HEAD", new RegExp(digest), run);
      assert.equal((await registry.must(200, "HEAD", path)).header("Content-Length"), "300000");
      upstream.script("HEAD", new RegExp(digest), run);
      const part = await registry.must(206, "GET", path, { headers: { Range: "bytes=-5" } });
      assert.deepEqual(part.bytes, bytes.subarray(-5));
    }
  });

  test("a HEAD whose length is not that of the blob, where nothing says it", async () => {
    const { digest, path } = withBlob(300_000);
    upstream.script("HEAD", new RegExp(digest), (_, response) => {
      response.writeHead(200, { "Content-Encoding": "gzip", "Content-Length": 17 });
      response.end();
    });
    await registry.must(502, "HEAD", path);
  });

  test("a compression that was not asked for, if what it holds is right", async () => {
    const name = `team/hostile${++count}`;
    const bytes = new TextEncoder().encode("a text that compresses well ".repeat(10_000));
    const digest = upstream.addBlob(name, bytes);
    upstream.script("GET", new RegExp(digest), ({ headers }, response) => {
      assert.equal(headers["accept-encoding"], "identity");
      end(response, 200, { "Content-Encoding": "gzip" }, gzipSync(bytes));
    });
    const answer = await registry.must(200, "GET", `/v2/up/${name}/blobs/${digest}`);
    assert.equal(digestOf(answer.bytes), digest);
  });
});

describe("refused, with nothing stored: a blob", () => {
  type Case = [
    what: string,
    sizeBytes: number,
    isDescribed: boolean,
    expected: number | "broken",
    script: (bytes: Uint8Array) => Script,
  ];
  const wrong: Case[] = [
    ["of another digest", 1000, false, 502, () => (_, response) => end(response, 200, {}, content(1000))],
    [
      "of another digest, in parts",
      12 * mebibyte,
      false,
      "broken",
      () => (_, response) => end(response, 200, {}, content(12 * mebibyte)),
    ],
    [
      "of too few bytes, by its length",
      1000,
      true,
      502,
      (bytes) => (_, response) => end(response, 200, {}, bytes.subarray(1)),
    ],
    [
      "of too many bytes, by its length",
      1000,
      true,
      502,
      (bytes) => (_, response) => end(response, 200, {}, Buffer.concat([bytes, content(1)])),
    ],
    [
      "of too few bytes, in chunks",
      1000,
      true,
      503,
      (bytes) => (_, response) => {
        response.writeHead(200, { "Transfer-Encoding": "chunked" });
        response.end(bytes.subarray(1));
      },
    ],
    [
      "of too many bytes, in chunks",
      1000,
      true,
      502,
      (bytes) => (_, response) => {
        response.writeHead(200, { "Transfer-Encoding": "chunked" });
        response.end(Buffer.concat([bytes, content(5)]));
      },
    ],
    [
      "that is a page of HTML",
      1000,
      true,
      502,
      () => (_, response) => end(response, 200, { "Content-Type": "text/html" }, "<html>Log in</html>"),
    ],
    [
      "that leads in circles",
      1000,
      false,
      502,
      () =>
        ({ path }, response) =>
          end(response, 307, { Location: path }),
    ],
  ];
  const hanging: Case[] = [
    ["that hangs before its headers", 1000, false, 503, () => () => {}],
    [
      "that hangs in the middle",
      12 * mebibyte,
      false,
      "broken",
      (bytes) => (_, response) => {
        response.writeHead(200, { "Content-Length": bytes.byteLength });
        response.write(bytes.subarray(0, 6 * mebibyte));
      },
    ],
    [
      "that hangs on its last byte",
      200_000,
      false,
      "broken",
      (bytes) => (_, response) => {
        response.writeHead(200, { "Content-Length": bytes.byteLength });
        response.write(bytes.subarray(0, -1));
      },
    ],
  ];
  for (const [cases, at] of [
    [wrong, patient],
    [hanging, impatient],
  ] as const) {
    for (const [what, sizeBytes, isDescribed, expected, script] of cases) {
      test(what, async () => {
        const blob = withBlob(sizeBytes, isDescribed);
        await blob.ready;
        blob.script(script(blob.bytes), 100);
        assert.equal(await refusedPull(blob.path, at), expected);
        await assertNothingOf(blob.name, blob.digest, at);
      });
    }
  }
});

test("a connection that breaks off is opened again twenty times at most", async () => {
  const { bytes, path, script, name, digest } = withBlob(8 * mebibyte);
  const pieceBytes = 128 * 1024;
  script(({ headers }, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const last = bytes.byteLength - 1;
    response.writeHead(from === 0 ? 200 : 206, {
      "Content-Length": bytes.byteLength - from,
      "Content-Range": `bytes ${from}-${last}/${bytes.byteLength}`,
    });
    response.write(bytes.subarray(from, from + pieceBytes), () => response.destroy());
  }, 100);
  upstream.forget();
  assert.equal(await refusedPull(path), "broken");
  const asked = upstream.count("GET", /blobs/);
  assert(asked > 3 && asked <= 20, `${asked} times`);
  await assertNothingOf(name, digest);
});

describe("refused, with nothing stored: a manifest", () => {
  const json = { "Content-Type": imageManifestType };
  type Case = [what: string, status: number, script: Script];
  const wrong: Case[] = [
    [
      "of another digest than the header says",
      502,
      (_, response) =>
        end(
          response,
          200,
          { ...json, "Docker-Content-Digest": digestOf(content()) },
          encode({ schemaVersion: 2 }),
        ),
    ],
    [
      "of 5 MiB",
      502,
      (_, response) =>
        end(response, 200, json, encode({ schemaVersion: 2, filler: "x".repeat(5 * mebibyte) })),
    ],
    [
      "that is a page of HTML",
      502,
      (_, response) => end(response, 200, { "Content-Type": "text/html" }, "<html>Log in</html>"),
    ],
    [
      "of schema 1",
      502,
      (_, response) =>
        end(
          response,
          200,
          { "Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws" },
          encode({ schemaVersion: 1, name: "team/app", fsLayers: [], history: [], signatures: [] }),
        ),
    ],
    ["that leads in circles", 502, ({ path }, response) => end(response, 307, { Location: path })],
    [
      "whose token service is a stranger's",
      502,
      (_, response) =>
        end(response, 401, {
          "WWW-Authenticate": 'Bearer realm="https://tokens.example.com/token",service="up"',
        }),
    ],
  ];
  const hanging: Case[] = [
    ["that hangs before its headers", 503, () => {}],
    [
      "that hangs in the middle",
      503,
      (_, response) => {
        response.writeHead(200, { ...json, "Content-Length": 1000 });
        response.write("{");
      },
    ],
  ];
  for (const [cases, { registry, advance }] of [
    [wrong, patient],
    [hanging, impatient],
  ] as const) {
    for (const [what, status, script] of cases) {
      test(what, async () => {
        const name = `team/hostile${++count}`;
        upstream.script("GET", /manifests/, script, 100);
        await registry.must(status, "GET", `/v2/up/${name}/manifests/v1`);
        upstream.unscript();
        await advance(120_000);
        await registry.must(404, "GET", `/v2/up/${name}/manifests/v1`);
        await registry.must(404, "GET", `/v2/up/${name}/tags/list`);
      });
    }
  }

  test("by its digest, of other bytes", async () => {
    const { manifest } = upstream.addImage("team/other", [10]);
    const name = `team/hostile${++count}`;
    const digest = digestOf(content());
    upstream.script("GET", /manifests/, (_, response) => end(response, 200, json, manifest), 100);
    await registry.must(502, "GET", `/v2/up/${name}/manifests/${digest}`);
    await patient.advance(120_000);
    upstream.unscript();
    await registry.must(404, "GET", `/v2/up/${name}/manifests/${digest}`);
  });
});
