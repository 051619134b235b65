import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import type { KeepLine } from "../../../src/policy/document.ts";
import { decide, type TagState } from "../../../src/policy/retention.ts";
import { goesByModel } from "../../support/retention-model.ts";

const now = 1_000_000;
const moment = { nowMs: now, noticeMs: 0 };
const signature = `sha256-${"a".repeat(64)}.sig`;

/** A tag that was pushed and used so long ago, with a digest of its own. */
function tag(name: string, age: number, more: Partial<TagState> & { used?: number } = {}): TagState {
  const { used, ...fields } = more;
  const usedAtMs = used === undefined ? undefined : now - used;
  return { tag: name, digest: `of-${name}`, pushedAtMs: now - age, usedAtMs, ...fields };
}

type Case = [title: string, tags: TagState[], keep: KeepLine[], remove: string[], goes: string[]];

const cases: Case[] = [
  ["nothing is listed, nothing goes", [tag("a", 9)], [], [], []],
  ["what is listed and kept by no line goes", [tag("a", 9), tag("b", 9)], [], ["a"], ["a"]],
  ["a line without a number keeps all", [tag("a", 9), tag("b", 9)], [{ tags: ["a"] }], ["*"], ["b"]],
  [
    "the newest are counted among all that the pattern matches, listed or not",
    [tag("a", 1), tag("b", 2), tag("c", 3)],
    [{ tags: ["*"], newest: 1 }],
    ["b", "c"],
    ["b", "c"],
  ],
  ["fewer than are kept", [tag("a", 1)], [{ tags: ["*"], newest: 5 }], ["*"], []],
  ["newest of none", [tag("a", 1)], [{ tags: ["b"], newest: 5 }], ["*"], ["a"]],
  [
    "equal times: one of them is kept",
    [tag("b", 1), tag("a", 1)],
    [{ tags: ["*"], newest: 1 }],
    ["*"],
    ["b"],
  ],
  [
    "pushed within: the moment at which it ends is over",
    [tag("a", 9), tag("b", 10), tag("c", 11)],
    [{ tags: ["*"], pushedWithin: "10ms" }],
    ["*"],
    ["b", "c"],
  ],
  [
    "used within",
    [tag("a", 99, { used: 9 }), tag("b", 99, { used: 10 })],
    [{ tags: ["*"], usedWithin: "10ms" }],
    ["*"],
    ["b"],
  ],
  ["an unknown use keeps", [tag("a", 99)], [{ tags: ["*"], usedWithin: "10ms" }], ["*"], []],
  ["a push is a use", [tag("a", 5, { used: 50 })], [{ tags: ["*"], usedWithin: "10ms" }], ["*"], []],
  [
    "any line keeps",
    [tag("a", 1), tag("b", 50, { used: 5 }), tag("c", 50, { used: 50 })],
    [
      { tags: ["*"], newest: 1 },
      { tags: ["*"], usedWithin: "10ms" },
    ],
    ["*"],
    ["c"],
  ],
  ["a held tag stays", [tag("a", 9, { isHeld: true }), tag("b", 9)], [], ["*"], ["b"]],
  [
    "a held tag takes a place among the newest",
    [tag("a", 1, { isHeld: true }), tag("b", 2)],
    [{ tags: ["*"], newest: 1 }],
    ["*"],
    ["b"],
  ],
  [
    "a moved tag is as old as its last push",
    [tag("old", 9), tag("moved", 1)],
    [{ tags: ["*"], newest: 1 }],
    ["*"],
    ["old"],
  ],
  [
    "a restored tag counts as pushed now",
    [tag("a", 0), tag("b", 9)],
    [{ tags: ["*"], pushedWithin: "5ms" }],
    ["*"],
    ["b"],
  ],
  ["clients' own tags are not meant by *", [tag(signature, 9), tag("a", 9)], [], ["*"], ["a"]],
  [
    "nor by ? and classes",
    [tag("sha256-", 9), tag(`sha256-${"b".repeat(64)}`, 9)],
    [],
    ["[a-z]*"],
    ["sha256-"],
  ],
  ["clients' own tags that are named go", [tag(signature, 9)], [], ["sha256-*.sig"], [signature]],
  [
    "clients' own tags take no place",
    [tag(signature, 1), tag("a", 2)],
    [{ tags: ["*"], newest: 1 }],
    ["*"],
    [],
  ],
  [
    "a tag that looks like a client's own, but is not",
    [tag("sha256-ab.sig", 9)],
    [],
    ["*"],
    ["sha256-ab.sig"],
  ],
  [
    "versions by their order, not their age",
    [tag("1.0.0", 1), tag("1.2.0", 9), tag("1.10.0", 5)],
    [{ tags: ["*"], newestVersions: 2 }],
    ["*"],
    ["1.0.0"],
  ],
  [
    "families are counted by themselves",
    [tag("1.0.0", 3), tag("2.0.0", 2), tag("1.0.0-alpine3.18", 3), tag("2.0.0-alpine3.19", 2)],
    [{ tags: ["*"], newestVersions: 1 }],
    ["*"],
    ["1.0.0", "1.0.0-alpine3.18"],
  ],
  [
    "pre-releases take no place of a release",
    [tag("1.0.0", 9), tag("1.1.0-rc1", 2), tag("1.1.0-rc2", 1)],
    [{ tags: ["*"], newestVersions: 1 }],
    ["*"],
    ["1.1.0-rc1"],
  ],
  [
    "1.2.3 and v1.2.3 are one version",
    [tag("1.2.3", 3), tag("v1.2.3", 2), tag("1.2.2", 4), tag("1.2.1", 5)],
    [{ tags: ["*"], newestVersions: 2 }],
    ["*"],
    ["1.2.1"],
  ],
  [
    "an alias is kept with what it points at",
    [
      tag("1.2", 1, { digest: "x" }),
      tag("1.2.3", 1, { digest: "x" }),
      tag("1.1", 3, { digest: "y" }),
      tag("1.1.9", 3, { digest: "y" }),
    ],
    [{ tags: ["*"], newestVersions: 1 }],
    ["*"],
    ["1.1", "1.1.9"],
  ],
  [
    "an alias of what is no version goes",
    [tag("1.2", 1), tag("1.2.3", 1)],
    [{ tags: ["*"], newestVersions: 1 }],
    ["*"],
    ["1.2"],
  ],
  [
    "an alias takes no place",
    [tag("2", 1, { digest: "x" }), tag("1.2.3", 1), tag("2.0.0", 1, { digest: "x" })],
    [{ tags: ["*"], newestVersions: 2 }],
    ["*"],
    [],
  ],
  [
    "what is no version is kept by no line of versions",
    [tag("latest", 1), tag("1.0.0", 1)],
    [{ tags: ["*"], newestVersions: 9 }],
    ["*"],
    ["latest"],
  ],
  [
    "versions are counted among those that the pattern matches",
    [tag("v1.0.0", 1), tag("2.0.0", 1), tag("3.0.0", 1)],
    [{ tags: ["v*"], newestVersions: 1 }],
    ["*"],
    ["2.0.0", "3.0.0"],
  ],
  [
    "of two lines, each counts for itself",
    [tag("v1.0.0", 9), tag("pr-1", 1), tag("pr-2", 2)],
    [
      { tags: ["v*"], newestVersions: 1 },
      { tags: ["pr-*"], newest: 1 },
    ],
    ["*"],
    ["pr-2"],
  ],
  ["a class in a pattern", [tag("v1", 9), tag("va", 9)], [], ["v[0-9]*"], ["v1"]],
  ["both cases", [tag("RC1", 9), tag("rc1", 9)], [], ["RC*"], ["RC1"]],
];

describe("tags stay or go", () => {
  for (const [title, tags, keep, remove, goes] of cases) {
    test(title, () => {
      const verdicts = decide(tags, { keep, remove: { tags: remove }, from: {} }, moment);
      assert.deepEqual(
        verdicts.filter(({ stays }) => !stays).map((verdict) => verdict.tag),
        goes,
      );
      assert.deepEqual(
        verdicts.map((verdict) => verdict.tag),
        tags.map((each) => each.tag),
      );
    });
  }

  test("without a section remove, all stay", () => {
    assert.deepEqual(decide([tag("a", 9)], { keep: [], from: {} }, moment), [
      { tag: "a", stays: true, why: "not listed" },
    ]);
  });
});

describe("a verdict says by which line a tag stays, and since when none keeps it", () => {
  const verdictOf = (name: string, tags: TagState[], keep: KeepLine[], remove = ["*"]) =>
    decide(tags, { keep, remove: { tags: remove }, from: {} }, moment).find((each) => each.tag === name);

  test("the first line that keeps it", () => {
    const keep = [{ tags: ["b"] }, { tags: ["*"], newest: 2 }, { tags: ["a"] }];
    assert.deepEqual(verdictOf("a", [tag("a", 9), tag("b", 1)], keep), {
      tag: "a",
      stays: true,
      why: "kept",
      line: 1,
    });
  });

  test("why else it stays", () => {
    assert.deepEqual(verdictOf("a", [tag("a", 9)], [], ["b"]), { tag: "a", stays: true, why: "not listed" });
    assert.deepEqual(verdictOf("a", [tag("a", 9, { isHeld: true })], []), {
      tag: "a",
      stays: true,
      why: "held",
    });
    assert.deepEqual(verdictOf(signature, [tag(signature, 9)], []), {
      tag: signature,
      stays: true,
      why: "client's own",
    });
  });

  test("that it is held, before all else, also where nothing would remove it", () => {
    const held = { tag: "a", stays: true, why: "held" };
    const tags = [tag("a", 9, { isHeld: true })];
    assert.deepEqual(verdictOf("a", tags, [{ tags: ["*"] }]), held);
    assert.deepEqual(verdictOf("a", tags, [], ["b"]), held);
    assert.deepEqual(decide(tags, { from: {} }, moment), [held]);
  });

  test("until when lines keep it, unless one does for ever", () => {
    const lines: KeepLine[] = [
      { tags: ["*"], pushedWithin: "20ms" },
      { tags: ["*"], usedWithin: "20ms" },
    ];
    const kept = { tag: "a", stays: true, why: "kept", line: 0 };
    const untilMs = now + 18;
    assert.deepEqual(verdictOf("a", [tag("a", 5, { used: 2 })], lines), { ...kept, untilMs });
    assert.deepEqual(verdictOf("a", [tag("a", 5)], lines), kept, "its use is not known");
    assert.deepEqual(verdictOf("a", [tag("a", 5, { used: 2 })], [...lines, { tags: ["a"] }]), kept);
  });

  const since: [string, TagState[], KeepLine[], number][] = [
    ["its push, if no line is for it", [tag("a", 50)], [], 50],
    ["the end of a time", [tag("a", 50)], [{ tags: ["*"], pushedWithin: "20ms" }], 30],
    ["the end of its use", [tag("a", 50, { used: 40 })], [{ tags: ["*"], usedWithin: "10ms" }], 30],
    [
      "the push that was one too many",
      [tag("a", 50), tag("b", 30), tag("c", 5)],
      [{ tags: ["*"], newest: 1 }],
      30,
    ],
    [
      "the later of two",
      [tag("a", 50), tag("b", 30)],
      [
        { tags: ["*"], newest: 1 },
        { tags: ["*"], pushedWithin: "40ms" },
      ],
      10,
    ],
    [
      "the version that was one too many, whichever it was",
      [tag("1.0.0", 50), tag("3.0.0", 40), tag("2.0.0", 20), tag("4.0.0", 10)],
      [{ tags: ["*"], newestVersions: 2 }],
      20,
    ],
  ];
  for (const [title, tags, keep, ago] of since) {
    test(title, () => {
      const name = tags[0]?.tag ?? "";
      assert.deepEqual(verdictOf(name, tags, keep), { tag: name, stays: false, sinceMs: now - ago });
    });
  }
});

describe("a line by number keeps what has lost its place for a while", () => {
  const goesWith = (noticeMs: number, tags: TagState[], keep: KeepLine[]) =>
    decide(tags, { keep, remove: { tags: ["*"] }, from: {} }, { nowMs: now, noticeMs }).flatMap((verdict) =>
      verdict.stays ? [] : [[verdict.tag, now - verdict.sinceMs]],
    );

  test("one of the newest", () => {
    const tags = [tag("a", 50), tag("b", 30), tag("c", 10)];
    const keep = [{ tags: ["*"], newest: 1 }];
    assert.deepEqual(goesWith(9, tags, keep), [
      ["a", 21],
      ["b", 1],
    ]);
    assert.deepEqual(goesWith(10, tags, keep), [
      ["a", 20],
      ["b", 0],
    ]);
    assert.deepEqual(goesWith(11, tags, keep), [["a", 19]]);
  });

  test("a version, with its alias", () => {
    const tags = [
      tag("1.2.3", 50, { digest: "x" }),
      tag("1.2", 50, { digest: "x" }),
      tag("1.3.0", 30),
      tag("1.4.0", 10),
    ];
    const keep = [{ tags: ["*"], newestVersions: 2 }];
    assert.deepEqual(goesWith(11, tags, keep), []);
    assert.deepEqual(goesWith(9, tags, keep), [
      ["1.2.3", 1],
      ["1.2", 1],
    ]);
  });
});

test("random repositories and rules, as a model of its own decides", () => {
  const name = fc.oneof(
    fc.stringMatching(/^v?[0-3]\.[0-2](\.[0-2](-(rc[0-2]|alpine3\.[0-2]|beta))?)?$/),
    fc.constantFrom("latest", "pr-1", "pr-2", "main", "1", "2"),
  );
  const ages = fc.integer({ min: 0, max: 20 });
  const state = fc.record({
    tag: name,
    digest: fc.constantFrom("x", "y", "z"),
    pushedAtMs: ages.map((age) => now - age),
    usedAtMs: fc.option(
      ages.map((age) => now - age),
      { nil: undefined },
    ),
    isHeld: fc.nat(9).map((one) => one === 0),
  });
  const patterns = fc.array(
    fc.constantFrom("*", "v*", "pr-*", "[0-9]*", "?.?.?", "*-alpine*", "latest", "main"),
    {
      minLength: 1,
      maxLength: 3,
    },
  );
  const count = fc.integer({ min: 1, max: 4 });
  const line: fc.Arbitrary<KeepLine> = fc
    .tuple(patterns, fc.constantFrom("newest", "newestVersions", "pushedWithin", "usedWithin", "all"), count)
    .map(([tags, kind, number]): KeepLine => {
      if (kind === "all") return { tags };
      return { tags, [kind]: kind.endsWith("Within") ? `${number * 3}ms` : number * 3 };
    });
  fc.assert(
    fc.property(
      fc.uniqueArray(state, { selector: (each) => each.tag, maxLength: 25 }),
      fc.array(line, { maxLength: 4 }),
      patterns,
      fc.integer({ min: 0, max: 8 }),
      (tags, keep, remove, noticeMs) => {
        const moment = { nowMs: now, noticeMs };
        const verdicts = decide(tags, { keep, remove: { tags: remove }, from: {} }, moment);
        assert.deepEqual(
          verdicts.filter(({ stays }) => !stays).map((verdict) => verdict.tag),
          goesByModel(tags, keep, remove, moment),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

test("of 10,000 tags, those that are kept are few", () => {
  const tags = Array.from({ length: 10_000 }, (_, index) =>
    tag(`v1.${index % 100}.${Math.floor(index / 100)}`, index),
  );
  const keep = [
    { tags: ["v[0-9]*"], newestVersions: 10 },
    { tags: ["*"], newest: 5 },
    { tags: ["*"], pushedWithin: "100ms" },
  ];
  const verdicts = decide(tags, { keep, remove: { tags: ["*"] }, from: {} }, moment);
  assert.equal(verdicts.filter(({ stays }) => !stays).length, 10_000 - 10 - 100);
});
