import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { maxPageSize, nextPageLink, parsePage } from "../../src/oci/http.ts";

const pages: [query: string, expected: ReturnType<typeof parsePage>][] = [
  ["", { limit: maxPageSize, last: "" }],
  ["n=5", { limit: 5, last: "" }],
  ["n=0", { limit: 0, last: "" }],
  ["n=5&last=v1", { limit: 5, last: "v1" }],
  ["last=v1", { limit: maxPageSize, last: "v1" }],
  [`n=${maxPageSize + 1}`, { limit: maxPageSize, last: "" }],
  [`n=${"9".repeat(400)}`, { limit: maxPageSize, last: "" }],
];

test("a page is asked for by n and last", () => {
  for (const [query, expected] of pages)
    assert.deepEqual(parsePage(new URLSearchParams(query)), expected, query);
});

test("n is a whole number of zero or more", () => {
  for (const n of ["-1", "-0", "1.5", "1e3", "ten", "", " 1", "0x10", "NaN", "Infinity", "１"]) {
    assert.equal(parsePage(new URLSearchParams({ n })), undefined, n);
  }
});

test("the next page's link is the same request, from where this one ended", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(1000), (last, limit) => {
      const url = new URL("http://registry.example/v2/a/tags/list?n=1&last=x&artifactType=a%2Fb");
      const [, target = ""] = /^<([^<>]*)>; rel="next"$/.exec(nextPageLink(url, { limit, last })) ?? [];
      const next = new URL(target, url);
      assert.equal(next.pathname, url.pathname);
      assert.deepEqual(Object.fromEntries(next.searchParams), {
        n: String(limit),
        last: last.toWellFormed(),
        artifactType: "a/b",
      });
    }),
  );
});
