import assert from "node:assert/strict";
import test from "node:test";
import { expectError } from "../support/answer.ts";
import { bucketUnderTest } from "../support/bucket-under-test.ts";
import { content, digestOf, mebibyte, rangeParts, unknownDigest } from "../support/content.ts";
import { startRegistry } from "../support/registry.ts";

const registry = await startRegistry();
const sizes = { nothing: 0, "one byte": 1, "a small blob": 1000, "a large blob": 2 * mebibyte + 3 };

for (const [what, size] of Object.entries(sizes)) {
  for (const algorithm of ["sha256", "sha512"] as const) {
    test(`${what} is served as it was pushed, under its ${algorithm} digest`, async () => {
      const bytes = content(size);
      const digest = await registry.pushBlob("whole", bytes, digestOf(bytes, algorithm));
      const path = `/v2/whole/blobs/${digest}`;
      const got = await registry.must(200, "GET", path);
      assert.deepEqual(got.bytes, bytes);
      const head = await registry.must(200, "HEAD", path);
      assert.equal(head.headers.get("Content-Length"), String(size));
      for (const { headers } of [got, head]) {
        assert.equal(headers.get("Content-Type"), "application/octet-stream");
        assert.equal(headers.get("Docker-Content-Digest"), digest);
        assert.equal(headers.get("ETag"), `"${digest}"`);
        assert.equal(headers.get("Accept-Ranges"), "bytes");
        assert.match(headers.get("Cache-Control") ?? "", /^private, max-age=\d+, immutable/);
        assert.equal(headers.get("Content-Encoding"), null);
      }
    });
  }
}

test("only blobs in files of this machine are answered by naming these, to who takes files", async () => {
  const bytes = content(mebibyte);
  const path = `/v2/files/blobs/${await registry.pushBlob("files", bytes)}`;
  const {
    headers,
    bytes: got,
    text,
  } = await registry.must(200, "GET", path, { headers: { "Stowage-Files": "yes" } });
  if (bucketUnderTest.kind === "r2") {
    assert.equal(headers.get("Stowage-Files"), null);
    assert.deepEqual(got, bytes);
  } else {
    assert.equal(headers.get("Stowage-Files"), String(mebibyte));
    assert.match(
      text,
      /^\{"path":"wholes\/[^"]+","sizeBytes":1048576,"range":\{"offset":0,"length":1048576\}\}\n$/,
    );
  }
  const head = await registry.must(200, "HEAD", path, { headers: { "Stowage-Files": "yes" } });
  assert.equal(head.headers.get("Stowage-Files"), null);
  assert.equal(head.header("Content-Length"), String(mebibyte));
});

test("HEAD says exactly what GET says", async () => {
  const digest = await registry.pushBlob("head", content());
  const paths = [`/v2/head/blobs/${digest}`, `/v2/head/blobs/${unknownDigest()}`, "/v2/head/blobs/sha256:x"];
  for (const path of paths) {
    const get = await registry.get(path);
    const head = await registry.send("HEAD", path);
    assert.equal(head.bytes.byteLength, 0);
    const [ofGet, ofHead] = [get, head].map(({ status, headers }) => {
      const { "x-request-id": _, ...rest } = Object.fromEntries(headers);
      return { status, headers: rest };
    });
    assert.deepEqual(ofHead, ofGet);
  }
});

test("a digest may be percent-encoded in the path", async () => {
  const digest = await registry.pushBlob("encoded", content());
  await registry.must(200, "GET", `/v2/encoded/blobs/${encodeURIComponent(digest)}`);
});

const small = content(1000);
const large = content(mebibyte);
const ranges: [range: string, first: number, last: number][] = [
  ["bytes=0-0", 0, 0],
  ["bytes=10-19", 10, 19],
  ["bytes=990-", 990, -1],
  ["bytes=-5", -5, -1],
  ["bytes=0-99999999", 0, -1],
  ["bytes=-99999999", 0, -1],
  ["bytes=5-9223372036854775807", 5, -1],
];

for (const [what, bytes] of Object.entries({ small, large })) {
  test(`a range of a ${what} blob is served, from the store and from memory`, async () => {
    const size = bytes.byteLength;
    const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", bytes)}`;
    for (const isRemembered of [false, true]) {
      if (isRemembered) await registry.must(200, "GET", path);
      for (const [range, from, to] of ranges) {
        const [first, last] = [from < 0 ? size + from : from, to < 0 ? size + to : to];
        const part = await registry.must(206, "GET", path, { headers: { Range: range } });
        assert.deepEqual(part.bytes, bytes.slice(first, last + 1), range);
        assert.equal(part.headers.get("Content-Range"), `bytes ${first}-${last}/${size}`, range);
      }
    }
  });
}

type Several = [ranges: string, expected: [first: number, last: number][]];

const severalOfAny: Several[] = [
  [
    "0-1,5-6",
    [
      [0, 1],
      [5, 6],
    ],
  ],
  [
    "900-999,0-99",
    [
      [900, 999],
      [0, 99],
    ],
  ],
  [
    "-10,0-0,20-29",
    [
      [-10, -1],
      [0, 0],
      [20, 29],
    ],
  ],
];

/** On both sides of where reads are put together, and of where a piece of a read ends. */
const farApart: Several = [
  "0-0,65536-65537,200000-300000,300001-300001,1048575-",
  [
    [0, 0],
    [65536, 65537],
    [200000, 300000],
    [300001, 300001],
    [-1, -1],
  ],
];

for (const [what, bytes, several] of [
  ["small", small, severalOfAny],
  ["large", large, [...severalOfAny, farApart]],
] as const) {
  test(`several ranges of a ${what} blob come as parts, in the order asked`, async () => {
    const size = bytes.byteLength;
    const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", bytes)}`;
    for (const [text, expected] of several) {
      const spans = expected.map(
        ([first, last]) => [first < 0 ? size + first : first, last < 0 ? size + last : last] as const,
      );
      const answer = await registry.must(206, "GET", path, { headers: { Range: `bytes=${text}` } });
      assert.equal(answer.headers.get("Content-Range"), null);
      assert.deepEqual(
        rangeParts(answer.headers, answer.bytes),
        spans.map(([first, last]) => ({
          contentType: "application/octet-stream",
          contentRange: `bytes ${first}-${last}/${size}`,
          bytes: bytes.slice(first, last + 1),
        })),
        text,
      );
    }
  });
}

test("of several ranges the only one that is there comes as one", async () => {
  const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", small)}`;
  const part = await registry.must(206, "GET", path, { headers: { Range: "bytes=2000-,10-19" } });
  assert.deepEqual(part.bytes, small.slice(10, 20));
  assert.equal(part.headers.get("Content-Range"), "bytes 10-19/1000");
});

test("1,024 ranges come as parts; more, or some that overlap, as the whole", async () => {
  const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", large)}`;
  const specs = Array.from({ length: 1024 }, (_, index) => `${1000 * index}-${1000 * index + 9}`);
  const ranged = await registry.must(206, "GET", path, { headers: { Range: `bytes=${specs}` } });
  const parts = rangeParts(ranged.headers, ranged.bytes);
  assert.deepEqual(
    Buffer.concat(parts.map((part) => part.bytes)),
    Buffer.concat(specs.map((_, index) => large.slice(1000 * index, 1000 * index + 10))),
  );
  for (const range of [`bytes=${specs},1048575-`, "bytes=0-9,5-14", "bytes=0-,0-"]) {
    assert.deepEqual((await registry.must(200, "GET", path, { headers: { Range: range } })).bytes, large);
  }
});

test("an empty blob has no ranges, and comes whole", async () => {
  const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", new Uint8Array())}`;
  for (const range of ["bytes=0-", "bytes=0-9", "bytes=-1", "bytes=0-0,2-3"]) {
    const answer = await registry.must(200, "GET", path, { headers: { Range: range } });
    assert.equal(answer.bytes.byteLength, 0);
  }
});

test("what are no ranges of bytes is answered with the whole", async () => {
  const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", small)}`;
  for (const range of ["items=0-1", "bytes=x-y", "bytes=0-1;5-6", ""]) {
    const answer = await registry.must(200, "GET", path, { headers: { Range: range } });
    assert.deepEqual(answer.bytes, small);
  }
  for (const range of ["bytes=0-1", "bytes=0-1,5-6"]) {
    const head = await registry.must(200, "HEAD", path, { headers: { Range: range } });
    assert.equal(head.headers.get("Content-Length"), "1000");
    assert.equal(head.headers.get("Content-Type"), "application/octet-stream");
  }
});

test("a range of which no byte is there is 416 with the size", async () => {
  const path = `/v2/ranges/blobs/${await registry.pushBlob("ranges", small)}`;
  for (const range of ["bytes=1000-", "bytes=2000-3000", "bytes=-0", "bytes=5-2"]) {
    const answer = await registry.get(path, { Range: range });
    expectError(answer, 416, "SIZE_INVALID");
    assert.equal(answer.headers.get("Content-Range"), "bytes */1000");
  }
});

test("If-Range lets a range count only for the same blob", async () => {
  const digest = await registry.pushBlob("ranges", small);
  const path = `/v2/ranges/blobs/${digest}`;
  const Range = "bytes=0-9";
  await registry.must(206, "GET", path, { headers: { Range, "If-Range": `"${digest}"` } });
  for (const other of ['"other"', `W/"${digest}"`, "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    await registry.must(200, "GET", path, { headers: { Range, "If-Range": other } });
  }
});

test("If-None-Match saves what the client has", async () => {
  const digest = await registry.pushBlob("conditions", small);
  const path = `/v2/conditions/blobs/${digest}`;
  for (const method of ["GET", "HEAD"]) {
    for (const known of [`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, "*"]) {
      const answer = await registry.must(304, method, path, { headers: { "If-None-Match": known } });
      assert.equal(answer.bytes.byteLength, 0);
      assert.equal(answer.headers.get("ETag"), `"${digest}"`);
    }
    await registry.must(200, method, path, { headers: { "If-None-Match": '"x"' } });
  }
});

test("If-Match refuses what the client does not want", async () => {
  const digest = await registry.pushBlob("conditions", small);
  const path = `/v2/conditions/blobs/${digest}`;
  for (const method of ["GET", "HEAD"]) {
    await registry.must(200, method, path, { headers: { "If-Match": `"x", "${digest}"` } });
    for (const wanted of ['"x"', `W/"${digest}"`])
      await registry.must(412, method, path, { headers: { "If-Match": wanted, Range: "bytes=0-1" } });
  }
});

test("a blob is readable only through a repository that has it", async () => {
  const digest = await registry.pushBlob("mine", content());
  await registry.must(200, "GET", `/v2/mine/blobs/${digest}`);
  await registry.pushBlob("yours", content());
  for (const repository of ["yours", "nobodys"]) {
    for (const headers of [{}, { "If-None-Match": "*" }, { Range: "bytes=0-0" }]) {
      expectError(await registry.get(`/v2/${repository}/blobs/${digest}`, headers), 404, "BLOB_UNKNOWN");
    }
    await registry.must(404, "HEAD", `/v2/${repository}/blobs/${digest}`);
  }
});

test("a deleted blob is gone from its repository, at once, and from no other", async () => {
  const bytes = content();
  const digest = await registry.pushBlob("deleted/here", bytes);
  await registry.pushBlob("kept/there", bytes);
  const path = `/v2/deleted/here/blobs/${digest}`;
  await registry.must(200, "GET", path);
  const deleted = await registry.must(202, "DELETE", path);
  assert.equal(deleted.headers.get("Docker-Content-Digest"), digest);
  expectError(await registry.get(path), 404, "BLOB_UNKNOWN");
  expectError(await registry.send("DELETE", path), 404, "BLOB_UNKNOWN");
  assert.deepEqual((await registry.must(200, "GET", `/v2/kept/there/blobs/${digest}`)).bytes, bytes);
  await registry.pushBlob("deleted/here", bytes);
  await registry.must(200, "GET", path);
});

test("a blob that a manifest references cannot be deleted until the manifest is", async () => {
  const image = await registry.pushImage("referenced", "latest");
  const path = `/v2/referenced/blobs/${image.config}`;
  const refused = await registry.send("DELETE", path);
  const { detail } = expectError(refused, 405, "UNSUPPORTED");
  assert.deepEqual(detail, { digest: image.config, manifests: [image.digest] });
  assert.equal(refused.headers.get("Allow"), "GET, HEAD");
  await registry.must(200, "GET", path);
  await registry.must(202, "DELETE", `/v2/referenced/manifests/${image.digest}`);
  await registry.must(202, "DELETE", path);
});
