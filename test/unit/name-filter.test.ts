import assert from "node:assert/strict";
import test from "node:test";
import { NameFilter } from "../../src/rpc/name-filter.ts";

const numbered = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

test("a filter has every name that was added, and takes few others for one of them", () => {
  const filter = new NameFilter();
  const names = numbered(100_000, "account-");
  for (const name of names) filter.add(name);
  assert(names.every((name) => filter.has(name)));
  const wrong = numbered(10_000, "guess-").filter((name) => filter.has(name)).length;
  assert(wrong < 200, `${wrong} of 10,000`);
});

test("a filter with few names takes hardly any other for one of them", () => {
  const filter = new NameFilter();
  for (const name of numbered(1000, "account-")) filter.add(name);
  assert.equal(numbered(10_000, "guess-").filter((name) => filter.has(name)).length, 0);
});

test("an empty filter has no name, and the bytes of one are as good as it", () => {
  const filter = new NameFilter();
  assert(!filter.has("") && !filter.has("alice"));
  filter.add("alice");
  const copy = new NameFilter(filter.bytes.slice());
  assert(copy.has("alice") && !copy.has("bob"));
});
