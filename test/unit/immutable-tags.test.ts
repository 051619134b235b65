/** Immutable tags keep their repository, wherever they are among its tags. */
import assert from "node:assert/strict";
import test from "node:test";
import { policedLedger } from "../support/policed-ledger.ts";

for (const others of [0, 999, 1000, 1500]) {
  test(`an immutable tag after ${others} others keeps its repository`, () => {
    const { image, policies } = policedLedger({ tags: { immutable: ["z"] } });
    image(...Array.from({ length: others }, (_, number) => `a${number}`));
    assert.equal(policies.refuseEnd(), undefined);
    const { digest } = image("z");
    assert.deepEqual(policies.refuseEnd(), {
      ok: false,
      error: "TAG_IMMUTABLE",
      detail: { tag: "z", digest, rule: "rules[0].tags.immutable" },
    });
  });
}
