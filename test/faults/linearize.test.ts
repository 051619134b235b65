import assert from "node:assert/strict";
import { test } from "node:test";
import { linearize, type Operation } from "./support/linearize.ts";

const write = (start: number, end: number, written: string, isCertain = true): Operation<string> => ({
  start,
  end: isCertain ? end : Number.POSITIVE_INFINITY,
  isCertain,
  apply: () => ({ value: written }),
});

const read = (start: number, end: number, told: string): Operation<string> => ({
  start,
  end,
  isCertain: true,
  apply: (value) => (value === told ? { value } : undefined),
});

const cases: { name: string; operations: Operation<string>[]; after: string[] }[] = [
  { name: "nothing", operations: [], after: ["old"] },
  {
    name: "writes at once end in any order",
    operations: [write(0, 2, "a"), write(1, 3, "b")],
    after: ["b", "a"],
  },
  {
    name: "writes one after the other do not",
    operations: [write(0, 1, "a"), write(2, 3, "b")],
    after: ["b"],
  },
  {
    name: "a write without an answer may have been done",
    operations: [write(0, 1, "a", false)],
    after: ["old", "a"],
  },
  {
    name: "a read during a write may be told either",
    operations: [write(0, 5, "a"), read(1, 2, "old"), read(3, 4, "a")],
    after: ["a"],
  },
  {
    name: "a read that goes back contradicts",
    operations: [write(0, 5, "a"), read(1, 2, "a"), read(3, 4, "old")],
    after: [],
  },
  {
    name: "an old read after an answered write contradicts",
    operations: [write(0, 1, "a"), read(2, 3, "old")],
    after: [],
  },
  {
    name: "a write without an answer may come late",
    operations: [write(0, 1, "a", false), read(2, 3, "old"), read(4, 5, "a")],
    after: ["a"],
  },
];

for (const { name, operations, after } of cases) {
  test(`one order for all: ${name}`, () => {
    assert.deepEqual(linearize(["old"], operations), new Set(after));
  });
}
