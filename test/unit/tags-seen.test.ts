import assert from "node:assert/strict";
import test from "node:test";
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/reference.ts";
import { TagsSeen } from "../../src/registry/caches.ts";
import { Replica, type TagRow } from "../../src/storage/replica.ts";
import { unknownDigest } from "../support/content.ts";

const repository = parseRepositoryName("a") as RepositoryName;
const latest = parseTag("latest") as Tag;
const older: TagRow = { digest: parseDigest(unknownDigest()) as Digest, sequence: 1 };
const newer: TagRow = { digest: parseDigest(unknownDigest()) as Digest, sequence: 2 };

function replicaWith(read: () => Promise<TagRow | null>): Replica {
  const get = async () => {
    const row = await read();
    return row && new TextEncoder().encode(JSON.stringify(row)).buffer;
  };
  return new Replica({ get } as unknown as KVNamespace);
}

test("an isolate never goes back to an older place of a tag", async () => {
  const seen = new TagsSeen();
  assert.equal(
    await seen.fromReplica(
      replicaWith(async () => newer),
      repository,
      latest,
    ),
    newer.digest,
  );
  assert.equal(
    await seen.fromReplica(
      replicaWith(async () => older),
      repository,
      latest,
    ),
    newer.digest,
  );
  assert.deepEqual(seen.note(repository, latest, older), newer);
});

test("a replica that does not know, or fails, says nothing", async () => {
  const seen = new TagsSeen();
  const failing = replicaWith(() => Promise.reject(new Error("KV is out of reach")));
  assert.equal(await seen.fromReplica(failing, repository, latest), undefined);
  assert.equal(
    await seen.fromReplica(
      replicaWith(async () => null),
      repository,
      latest,
    ),
    undefined,
  );
});
