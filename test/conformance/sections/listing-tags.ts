import assert from "node:assert/strict";
import { imageIndexType } from "../../../src/oci/media-type.ts";
import { expectError } from "../../support/answer.ts";
import { content, digestOf } from "../../support/content.ts";
import { nextPage, readPages } from "../../support/pages.ts";
import type { TestRegistry } from "../../support/registry.ts";
import type { Section } from "../statement.ts";
import { makeIndex, tagsOf } from "../world.ts";

/** In ASCII order. */
const tags = ["0", "1.10", "1.2", "A", "B", "_", "a", "a-b", "a.b", "a0", "b"];

/** A repository with these tags. */
async function tagged(registry: TestRegistry): Promise<string> {
  const manifest = makeIndex();
  const query = tags.toReversed().map((tag) => `tag=${tag}`);
  await registry.pushManifest("tagged", `${digestOf(manifest)}?${query.join("&")}`, manifest, imageIndexType);
  return "/v2/tagged/tags/list";
}

export const listingTags: Section = {
  document: "distribution-spec",
  title: "Listing Tags",
  statements: [
    {
      id: "tags-200",
      quote: "Assuming a repository is found, this request MUST return a `200 OK` response code.",
      choice: "A repository is found once something was pushed to it; before that it is `NAME_UNKNOWN`.",
      check: async ({ registry }) => {
        await registry.must(200, "GET", await tagged(registry));
        expectError(await registry.get("/v2/nowhere/tags/list"), 404, "NAME_UNKNOWN");
      },
    },
    {
      id: "tags-empty",
      quote: "The list of tags MAY be empty if there are no tags on the repository.",
      choice: "It is, and an array.",
      check: async ({ registry }) => {
        await registry.pushBlob("untagged", content());
        assert.deepEqual(await tagsOf(registry, "untagged"), []);
      },
    },
    {
      id: "tags-order",
      quote:
        'If the list is not empty, the tags MUST be in lexical (i.e. case-insensitive alphanumeric order) or "ASCIIbetical" ([Go\'s `sort.Strings`](https://pkg.go.dev/sort#Strings)) order.',
      choice: "ASCII.",
      check: async ({ registry }) => {
        await tagged(registry);
        assert.deepEqual(await tagsOf(registry, "tagged"), tags);
      },
    },
    {
      id: "tags-body",
      quote: "Upon success, the response MUST be a json body in the following format",
      check: async ({ registry }) => {
        const list = await registry.must(200, "GET", await tagged(registry));
        assert.equal(list.header("Content-Type"), "application/json");
        assert.deepEqual(list.json(), { name: "tagged", tags });
      },
    },
    {
      id: "tags-n",
      quote:
        "The response to such a request MAY return fewer than `<int>` results, but only when the total number of tags attached to the repository is less than `<int>` or a `Link` header is provided. Otherwise, the response MUST include `<int>` results.",
      choice: "Exactly as many, while there are; at most 10,000 a page, whatever `n` is or without one.",
      check: async ({ registry }) => {
        await tagged(registry);
        for (const n of [1, 5, tags.length, tags.length + 1, 99_999_999]) {
          assert.deepEqual(await tagsOf(registry, "tagged", `?n=${n}`), tags.slice(0, n));
        }
      },
    },
    {
      id: "tags-link",
      quote:
        'A `Link` header MAY be included in the response when additional tags are available. If included, the `Link` header MUST be set according to [RFC 5988](https://www.rfc-editor.org/rfc/rfc5988) with the Relation Type `rel="next"`.',
      choice: "Always where there are more, and only then.",
      check: async ({ registry }) => {
        const path = await tagged(registry);
        const pages = await readPages(
          registry,
          `${path}?n=4`,
          (answer) => answer.json<{ tags: string[] }>().tags,
        );
        assert.deepEqual(pages, { all: tags, sizes: [4, 4, 3] });
        assert.equal(nextPage(await registry.get(`${path}?n=${tags.length}`)), undefined);
      },
    },
    {
      id: "tags-n-zero",
      quote:
        "When `n` is zero, this endpoint MUST return an empty list, and MUST NOT include a `Link` header.",
      choice: "What is no number of zero or more is 400.",
      check: async ({ registry }) => {
        const path = await tagged(registry);
        const list = await registry.must(200, "GET", `${path}?n=0`);
        assert.deepEqual(list.json(), { name: "tagged", tags: [] });
        assert.equal(list.headers.get("Link"), null);
        for (const n of ["-1", "x", ""])
          expectError(await registry.get(`${path}?n=${n}`), 400, "UNSUPPORTED");
      },
    },
    {
      id: "tags-n-order",
      quote:
        'Without the `last` query parameter (described next), the list returned will start at the beginning of the list and include `<int>` results. As above, the tags MUST be in lexical or "ASCIIbetical" order.',
      check: async ({ registry }) => {
        await tagged(registry);
        assert.deepEqual(await tagsOf(registry, "tagged", "?n=3"), tags.slice(0, 3));
      },
    },
    {
      id: "tags-last",
      quote: "`<tagname>` MUST NOT be a numerical index, but rather it MUST be a proper tag.",
      choice:
        "`last` is where the list begins, whether there is such a tag or not; a number is a tag like others.",
      check: async ({ registry }) => {
        await tagged(registry);
        assert.deepEqual(await tagsOf(registry, "tagged", "?last=0"), tags.slice(1));
        assert.deepEqual(await tagsOf(registry, "tagged", "?last=2"), tags.slice(3));
      },
    },
    {
      id: "tags-last-order",
      quote:
        'That is to say, `<tagname>` will not be included in the results, but up to `<int>` tags *after* `<tagname>` will be returned. The tags MUST be in lexical or "ASCIIbetical" order.',
      check: async ({ registry }) => {
        await tagged(registry);
        assert.deepEqual(await tagsOf(registry, "tagged", "?n=3&last=B"), ["_", "a", "a-b"]);
        assert.deepEqual(await tagsOf(registry, "tagged", "?n=3&last=b"), []);
      },
    },
    {
      id: "tags-last-without-n",
      quote: "When using the `last` query parameter, the `n` parameter is OPTIONAL.",
      choice: "Without it, all that follow.",
      check: async ({ registry }) => {
        await tagged(registry);
        assert.deepEqual(await tagsOf(registry, "tagged", "?last=a"), tags.slice(7));
      },
    },
  ],
};
