/** Finding repositories: with an index of texts and without one the same, and fast among very many. */
import assert from "node:assert/strict";
import test from "node:test";
import { applySchema } from "../../src/objects/schema.ts";
import { findRepositories } from "../../src/objects/search/find.ts";
import { createTextIndex, searchSchema } from "../../src/objects/search/schema.ts";
import { SearchStore } from "../../src/objects/search/store.ts";
import { transaction } from "../../src/objects/sql.ts";
import { parseRepositoryName } from "../../src/oci/reference.ts";
import type { SearchQuery } from "../../src/rpc/search-api.ts";
import { memoryStorage } from "../support/sqlite.ts";

const words = ["shop", "mailer", "checkout", "etl", "gateway"];

function nameOf(text: string) {
  const name = parseRepositoryName(text);
  assert(name !== undefined);
  return name;
}

/** So many repositories of a hundred teams, one in twenty of them public. */
function filled(count: number, hasText: boolean) {
  const storage = memoryStorage();
  transaction(storage, (tx) => {
    applySchema(tx, searchSchema);
    if (hasText) assert(createTextIndex(tx));
    const store = new SearchStore(storage.sql, hasText);
    for (let number = 0; number < count; number++) {
      const name = nameOf(`team${number % 100}/${words[number % words.length]}-${number}`);
      const description = number % 3 === 0 ? `Of team ${number % 100}: "${words[number % 4]}"` : "";
      const visibility = number % 20 === 0 ? "public" : "private";
      const facts = { tags: 1, sizeBytes: number, pushedAtMs: number, pushedBy: null, usedDay: null };
      store.put(
        tx,
        { name, description, visibility, version: 1, kinds: ["image"], platforms: [], ...facts },
        [],
        true,
      );
    }
  });
  return (query: Partial<SearchQuery>) =>
    findRepositories(storage.sql, hasText, {
      ...{ text: "", kind: undefined, platform: undefined, visibility: undefined, order: "relevance" },
      ...{ readable: [["team1/**", "team2/shop-*", "team3/etl-3"]], offset: 0, limit: 500 },
      ...query,
    }).entries.map(({ name }) => name);
}

const indexed = filled(2000, true);
const plain = filled(2000, false);

test("a zero separates words", () => {
  const expected = indexed({ text: "team1 mailer", order: "name" });
  assert(expected.length > 0);
  for (const found of [indexed, plain])
    assert.deepEqual(found({ text: "team1\0mailer\0", order: "name" }), expected);
});

test("without an index of texts the same is found", () => {
  for (const text of [
    "",
    "shop",
    "s",
    "te sh",
    "hop-1",
    "of team",
    '"shop',
    "' OR 1",
    "team1 etl",
    "zzz",
    "ÄÖÜ",
  ]) {
    assert.deepEqual(indexed({ text }).toSorted(), plain({ text }).toSorted(), text);
  }
});

test("exactly what the patterns allow is found, and what is public", () => {
  const all = indexed({ readable: [["**"]], limit: 5000 });
  const expected = all.filter((name) => {
    const number = Number(name.split("-").at(-1));
    return /^team1\/|^team2\/shop-[^/]*$|^team3\/etl-3$/.test(name) || number % 20 === 0;
  });
  assert.deepEqual(indexed({ order: "name" }), expected.toSorted());
  const both = indexed({ order: "name", readable: [["team1/**"], ["team1/mailer-*", "team9/**"]] });
  assert(both.some((name) => name.startsWith("team1/mailer-")));
  assert(both.every((name) => name.startsWith("team1/mailer-") || Number(name.split("-").at(-1)) % 20 === 0));
  // By its first letters a name could match each of these, but it matches one.
  const one = indexed({ order: "name", readable: [["team1/**"], ["team1/*-1"]] });
  assert(one.every((name) => name.endsWith("-1") || Number(name.split("-").at(-1)) % 20 === 0));
});

test("a pattern with a class or a question mark shows what it matches", () => {
  const shown = (pattern: string) =>
    indexed({ readable: [[pattern]], order: "name", limit: 5000 }).filter(
      (name) => Number(name.split("-").at(-1)) % 20 !== 0,
    );
  const all = indexed({ readable: [["**"]], order: "name", limit: 5000 });
  for (const [pattern, matches] of [
    ["team[12]/**", /^team[12]\//],
    ["team1?/*", /^team1\d\//],
    ["team3/etl-?", /^team3\/etl-\d$/],
    ["team[1-3]?/shop-*", /^team[1-3]\d\/shop-/],
  ] as const) {
    const expected = all.filter((name) => matches.test(name) && Number(name.split("-").at(-1)) % 20 !== 0);
    assert(expected.length > 0, pattern);
    assert.deepEqual(shown(pattern), expected, pattern);
  }
});

test("a late word of who may see a repository does not show it again, nor one that was removed", () => {
  const storage = memoryStorage();
  transaction(storage, (tx) => {
    applySchema(tx, searchSchema);
    const store = new SearchStore(storage.sql, false);
    const name = nameOf("a/b");
    const say = (visibility: "private" | "public", version: number) =>
      store.putInfo(tx, { name, visibility, description: "" }, version);
    const isSeen = () => {
      const query = { text: "", kind: undefined, platform: undefined, visibility: undefined } as const;
      const page = { ...query, order: "name", readable: [[]], offset: 0, limit: 9 } as const;
      return findRepositories(storage.sql, false, { ...page, readable: [[]] }).entries.length === 1;
    };
    say("public", 4);
    assert(isSeen());
    say("private", 6);
    say("public", 5);
    assert(!isSeen());
    store.remove(tx, name, 7);
    say("public", 7);
    assert(!isSeen());
  });
});

test("a late announcement changes nothing, nor does it bring back what was removed", () => {
  const storage = memoryStorage();
  const entry = (version: number, description: string) => {
    const facts = { tags: 1, sizeBytes: 1, pushedAtMs: 1, pushedBy: null, usedDay: null };
    return {
      name: nameOf("a/b"),
      description,
      visibility: "public" as const,
      version,
      kinds: [],
      platforms: [],
      ...facts,
    };
  };
  transaction(storage, (tx) => {
    applySchema(tx, searchSchema);
    createTextIndex(tx);
    const store = new SearchStore(storage.sql, true);
    const query = {
      kind: undefined,
      platform: undefined,
      visibility: undefined,
      order: "name",
      readable: [[]],
    } as const;
    const found = (text: string) =>
      findRepositories(storage.sql, true, { ...query, readable: [[]], text, offset: 0, limit: 9 }).entries
        .length;
    store.put(tx, entry(5, "newer"), [], true);
    store.put(tx, entry(4, "older"), [], true);
    assert.deepEqual([found("newer"), found("older")], [1, 0]);
    store.remove(tx, nameOf("a/b"), 4);
    assert.equal(found("newer"), 1);
    store.remove(tx, nameOf("a/b"), 6);
    store.put(tx, entry(5, "newer"), [], true);
    assert.equal(found("newer"), 0);
    store.put(tx, entry(7, "again"), [], true);
    assert.deepEqual([found("again"), found("newer")], [1, 0]);
  });
});
