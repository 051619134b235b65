import assert from "node:assert/strict";
import test from "node:test";
import {
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/reference.ts";
import { SharedCalls } from "../../src/registry/shared-calls.ts";
import type { ResolvedTag } from "../../src/rpc/api.ts";
import { Unreachable } from "../../src/rpc/stubs.ts";
import { unknownDigest } from "../support/content.ts";
import { getOn } from "../support/get-on.ts";

const repository = parseRepositoryName("a") as RepositoryName;
const other = parseRepositoryName("b") as RepositoryName;
const latest = parseTag("latest") as Tag;
const older = parseTag("older") as Tag;

function resolved(sequence: number): ResolvedTag {
  const digest = parseDigest(unknownDigest());
  assert(digest !== undefined);
  return { digest, mediaType: "a/b", sizeBytes: 1, sequence };
}

/** A ledger whose calls are answered by hand. */
class FakeLedgers {
  readonly calls: {
    name: RepositoryName;
    tags: Tag[];
    answer: PromiseWithResolvers<(ResolvedTag | null)[]>;
  }[] = [];
  readonly lookups = new SharedCalls<Tag, ResolvedTag | null>();

  resolve(name: RepositoryName, tag: Tag) {
    const call = (tags: Tag[]) => {
      const answer = Promise.withResolvers<(ResolvedTag | null)[]>();
      this.calls.push({ name, tags, answer });
      return answer.promise;
    };
    return this.lookups.ask(name, tag, call, () => {});
  }

  answer(index: number, ...tags: (ResolvedTag | null)[]): void {
    this.calls[index]?.answer.resolve(tags);
  }

  async hasCalled(count: number): Promise<void> {
    await getOn();
    assert.equal(this.calls.length, count);
  }
}

test("look-ups that arrive while one is in flight share the next call, and never join that one", async () => {
  const ledgers = new FakeLedgers();
  const first = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(1);
  const later = [latest, older, latest].map((tag) => ledgers.resolve(repository, tag));
  await ledgers.hasCalled(1);
  const [before, after] = [resolved(1), resolved(2)];
  ledgers.answer(0, before);
  assert.equal(await first, before);
  await ledgers.hasCalled(2);
  assert.deepEqual(ledgers.calls[1]?.tags, [latest, older]);
  ledgers.answer(1, after, null);
  assert.deepEqual(await Promise.all(later), [after, null, after]);
});

test("repositories do not wait for each other", async () => {
  const ledgers = new FakeLedgers();
  const [one, two] = [ledgers.resolve(repository, latest), ledgers.resolve(other, latest)];
  await ledgers.hasCalled(2);
  const [here, there] = [resolved(1), resolved(1)];
  ledgers.answer(1, there);
  assert.equal(await two, there);
  ledgers.answer(0, here);
  assert.equal(await one, here);
});

test("a ledger out of reach fails those who asked, and nobody after them", async () => {
  const ledgers = new FakeLedgers();
  const failing = [ledgers.resolve(repository, latest), ledgers.resolve(repository, older)];
  await ledgers.hasCalled(1);
  ledgers.calls[0]?.answer.reject(new Unreachable("resolveTags"));
  await ledgers.hasCalled(2);
  ledgers.calls[1]?.answer.reject(new Unreachable("resolveTags"));
  for (const outcome of await Promise.allSettled(failing)) {
    assert(outcome.status === "rejected" && outcome.reason instanceof Unreachable);
  }
  const next = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(3);
  ledgers.answer(2, null);
  assert.equal(await next, null);
});

test("a call that never ends, because its request did, holds nobody up for long", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const ledgers = new FakeLedgers();
  void ledgers.resolve(repository, latest);
  await ledgers.hasCalled(1);
  const waiting = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(1);
  t.mock.timers.tick(2_000);
  // The first one asks for itself, as does the second; the batch that waited is sent.
  await ledgers.hasCalled(4);
  const found = resolved(1);
  for (const index of [1, 2, 3]) ledgers.answer(index, found);
  assert.equal(await waiting, found);
});

test("a batch whose request ended before it was sent is left by those after", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const ledgers = new FakeLedgers();
  void ledgers.resolve(repository, latest);
  await ledgers.hasCalled(1);
  // The request that opens the batch ends at once: none of its timers ever goes off.
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  void ledgers.resolve(repository, latest);
  globalThis.setTimeout = setTimeout;
  const joined = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(1);
  t.mock.timers.tick(2_000);
  // The first one asks again, as does the one that joined.
  await ledgers.hasCalled(3);
  const later = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(3);
  t.mock.timers.tick(2_000);
  await ledgers.hasCalled(5);
  const found = resolved(1);
  for (const index of [1, 2, 3, 4]) ledgers.answer(index, found);
  assert.deepEqual(await Promise.all([joined, later]), [found, found]);
  const last = ledgers.resolve(repository, latest);
  await ledgers.hasCalled(6);
  ledgers.answer(5, null);
  assert.equal(await last, null);
});
