/** The summary of a repository, which its ledger keeps for a while. */
import assert from "node:assert/strict";
import test from "node:test";
import { content } from "../support/content.ts";
import { startTimedRegistry } from "../support/timed-registry.ts";

const { registry, advance } = await startTimedRegistry();

type Summary = { tags: number; manifests: number; stored: { objects: number } };

async function summary(): Promise<number[]> {
  const answer = await registry.must(200, "GET", "/api/v1/repositories/team/app");
  const { tags, manifests, stored } = answer.json<Summary>();
  return [tags, manifests, stored.objects];
}

test("a summary says what is there, however soon after a change it is asked for", async () => {
  await registry.pushImage("team/app", "v1");
  assert.deepEqual([await summary(), await summary()], Array(2).fill([1, 1, 3]));
  await registry.pushImage("team/app", "v2");
  assert.deepEqual(await summary(), [2, 2, 6]);
  await registry.pushBlob("team/app", content());
  assert.deepEqual(await summary(), [2, 2, 7]);
  await registry.must(202, "DELETE", "/v2/team/app/manifests/v2");
  assert.deepEqual(await summary(), [1, 2, 7]);
  await advance(120_000);
  assert.deepEqual(await summary(), [1, 2, 7]);
});
