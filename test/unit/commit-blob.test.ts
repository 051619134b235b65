/** What a push is told after its bytes were verified. */
import assert from "node:assert/strict";
import test from "node:test";
import { registryItself } from "../../src/oci/event.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { commitBlob, commitFetched, isStillLinked } from "../../src/rpc/commit-blob.ts";
import { type ObjectBindings, Unreachable } from "../../src/rpc/stubs.ts";
import { content } from "../support/content.ts";
import { namespaceOf } from "../support/namespace.ts";

const repository = "team/app" as RepositoryName;
const digest: Digest = digestOfContent(content(), "sha256");
const leaseMs = 600_000;

/** Objects of which linking takes these times, one after the other, in milliseconds; and what they were asked for. */
function objectsThatTake(...times: number[]) {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const calls: string[] = [];
  const shard = {
    adopt: async () => {
      calls.push("adopt");
      const lease = calls.length;
      const leaseUntil = clock.nowMs + leaseMs;
      return { ok: true, adoption: { digest, key: "blobs/1", sizeBytes: 1, lease, leaseUntil } };
    },
  };
  const ledger = {
    linkBlob: async () => {
      calls.push("link");
      clock.nowMs += times.shift() ?? 0;
      return "linked";
    },
    locateBlob: async () => undefined,
  };
  const objects = {
    BLOB_SHARDS: namespaceOf(shard),
    LEDGERS: namespaceOf(ledger),
  } as unknown as ObjectBindings;
  const commit = () =>
    commitBlob({ objects, clock }, repository, { digest, key: "blobs/1", sizeBytes: 1 }, "1", registryItself);
  return { objects, clock, calls, commit };
}

test("a link counts for a push only while its lease runs; later, the blob is adopted and linked again", async () => {
  const late = objectsThatTake(leaseMs, leaseMs - 1);
  assert.deepEqual(await late.commit(), { ok: true });
  assert.deepEqual(late.calls, ["adopt", "link", "adopt", "link"]);
  const tooLate = objectsThatTake(leaseMs, leaseMs, leaseMs);
  await assert.rejects(tooLate.commit(), Unreachable);
});

test("a blob that is not in the repository any more is not taken for one that a repeated push has made", async () => {
  assert.equal(await isStillLinked(objectsThatTake().objects, repository, digest), false);
});

test("what was fetched is read from the key that the shard has for its digest", async () => {
  const { objects, clock } = objectsThatTake();
  const fetched = { digest, key: "blobs/2", sizeBytes: 1 };
  assert.deepEqual(await commitFetched({ objects, clock }, repository, fetched, 1, registryItself), {
    location: { digest, key: "blobs/1", sizeBytes: 1 },
    isLinked: true,
  });
});
