import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { ByteLru, ExpiringLru } from "../../src/registry/caches.ts";

test("what was used least recently goes first", () => {
  const cache = new ByteLru<string>(24, (value) => value.length);
  for (const key of ["a", "b", "c", "d", "e", "f", "g", "h"]) cache.set(key, "123");
  assert.equal(cache.get("a"), "123");
  cache.set("i", "123");
  assert.equal(cache.get("b"), undefined);
  assert.equal(cache.get("a"), "123");
});

test("a value that would take too much of the cache is not kept, and takes the place of nothing", () => {
  const cache = new ByteLru<string>(80, (value) => value.length);
  cache.set("small", "1");
  cache.set("large", "x".repeat(11));
  assert.equal(cache.get("large"), undefined);
  assert.equal(cache.get("small"), "1");
  cache.set("small", "x".repeat(11));
  assert.equal(cache.get("small"), undefined, "the old value would be wrong");
});

test("whatever happens, it holds no more than its bytes, and nothing but what was set last", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e");
  const step = fc.oneof(fc.tuple(key, fc.nat(10)), fc.tuple(key, fc.constant(undefined)));
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const cache = new ByteLru<number>(40, (value) => value);
      const model = new Map<string, number>();
      for (const [name, value] of steps) {
        if (value === undefined) {
          cache.delete(name);
          model.delete(name);
        } else {
          cache.set(name, value);
          model.set(name, value);
        }
        const held = [...model].flatMap(([known, expected]) => {
          const found = cache.get(known);
          assert(found === undefined || found === expected);
          return found ?? [];
        });
        assert(held.reduce((sum, size) => sum + size, 0) <= 40);
      }
    }),
  );
});

test("what expires is there for its time and no longer, and may be set anew", () => {
  let now = 1000;
  const cache = new ExpiringLru<string>({ now: () => now }, 80, () => 8);
  cache.set("a", "one", 500);
  cache.setUntil("b", "two", 1499);
  now = 1499;
  assert.deepEqual([cache.get("a"), cache.has("a"), cache.get("b")], ["one", true, undefined]);
  now = 1500;
  assert(!cache.has("a"));
  cache.set("a", "again", 1);
  assert.equal(cache.get("a"), "again");
  cache.delete("a");
  assert(!cache.has("a"));
});
