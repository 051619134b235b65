import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import {
  deleteTombstoned,
  dropJob,
  dropUnheld,
  endDelays,
  forgetTombstones,
  writeTombstone,
} from "../../src/objects/blob-shard/deletion.ts";
import { askHolders, askUnasked, grantLease } from "../../src/objects/blob-shard/holders.ts";
import type { ShardParts } from "../../src/objects/blob-shard/parts.ts";
import { shardColumns } from "../../src/objects/blob-shard/schema.ts";
import { ShardStore } from "../../src/objects/blob-shard/store.ts";
import { DueTable } from "../../src/objects/due.ts";
import { transaction } from "../../src/objects/sql.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { Tally } from "../../src/rpc/tally.ts";
import { parseSettings } from "../../src/settings/settings.ts";
import type { Bucket } from "../../src/storage/bucket.ts";
import { content } from "../support/content.ts";
import { namespaceOf } from "../support/namespace.ts";
import { memoryStorage } from "../support/sqlite.ts";

const repository = "team/app" as RepositoryName;
const digest: Digest = digestOfContent(content(), "sha256");

/** A shard whose ledgers answer so, and which keeps bytes in this bucket. */
function memoryShard(holds: () => Promise<unknown>, bucket: Partial<Bucket> = {}) {
  const storage = memoryStorage();
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const env = { LEDGERS: namespaceOf({ holds }) } as unknown as Env;
  const store = new ShardStore(storage);
  const shard: ShardParts = {
    env,
    clock,
    settings: parseSettings({} as Env),
    bucket: bucket as Bucket,
    due: new DueTable(storage, clock, shardColumns),
    store,
    tally: new Tally(),
    since: 0,
    transaction: (work) => transaction(storage, work),
  };
  shard.transaction((tx) => store.create(tx));
  return { shard, clock };
}

const blob = { digest, key: "blobs/1", sizeBytes: 1 };

const lend = (shard: ShardParts, holder = repository) =>
  shard.transaction((tx) => grantLease(tx, shard, blob, holder));

/** A shard that has lent a digest to a repository, whose ledger answers so; its lease is over. */
function lentShard(holds: () => Promise<unknown>): ShardParts {
  const { shard, clock } = memoryShard(holds);
  shard.transaction((tx) => shard.store.setBlob(tx, blob));
  lend(shard);
  clock.nowMs += 2 * shard.settings.leaseMs;
  return shard;
}

const askAll = (shard: ShardParts) => askHolders(shard, [{ id: `${digest} ${repository}`, at: 0 }]);
const isDue = (shard: ShardParts) => typeof shard.store.holder(digest, repository)?.askAt === "number";

test("a holder that says no is dropped, and its digest is given up later", async () => {
  const shard = lentShard(async () => ({ voided: [digest] }));
  await askAll(shard);
  assert.deepEqual([shard.store.holders(digest, 1), isDue(shard)], [[], false]);
  assert.notEqual(shard.due.at(dropJob, digest), undefined);
});

test("a holder that says yes stays, and is asked no more", async () => {
  const shard = lentShard(async () => ({ voided: [] }));
  await askAll(shard);
  assert.deepEqual([shard.store.holders(digest, 1), isDue(shard)], [[repository], false]);
});

for (const [what, answer] of Object.entries({ "has none of the digests": [], "has them": [digest] })) {
  test(`a ledger of an earlier release, which promises nothing and ${what}, is asked again`, async () => {
    const shard = lentShard(async () => answer);
    await askAll(shard);
    assert.deepEqual([shard.store.holders(digest, 1), isDue(shard)], [[repository], true]);
  });
}

test("a holder whose lease ends just when holders are asked has not reported that it may have left", () => {
  const { shard, clock } = memoryShard(async () => []);
  const { leaseMs } = shard.settings;
  const slotMs = 60 * leaseMs;
  clock.nowMs = Math.ceil(clock.nowMs / slotMs) * slotMs - leaseMs;
  shard.transaction((tx) => shard.store.setBlob(tx, blob));
  lend(shard);
  const found = shard.store.holdersFrom(digest, "", 1, clock.nowMs);
  assert.deepEqual(
    Array.from(found, (row) => ({ ...row })),
    [{ repository, mayHaveLeft: 0 }],
  );
});

test("a hold after one that was dropped has a higher number, though the clock went back", () => {
  const shard = lentShard(async () => ({ voided: [] }));
  const { store } = shard;
  const hold = (now: number, holder = repository) =>
    shard.transaction((tx) => store.hold(tx, digest, holder, { leasedUntil: now, askAt: null }, now));
  const drop = (holder: string) => shard.transaction((tx) => store.dropHolder(tx, digest, holder));
  const other = "team/other" as RepositoryName;
  const earlier = hold(shard.clock.now() - 60_000, other);
  const last = hold(shard.clock.now());
  assert(earlier < last);
  drop(repository);
  drop(other);
  assert(hold(shard.clock.now() - 60_000) > last);
});

test("two leases of one millisecond have numbers of their own", () => {
  const { shard } = memoryShard(async () => ({ voided: [] }));
  const { lease } = lend(shard);
  assert(lend(shard).lease > lease);
});

test("a repository is told that its lease ends before it is asked, as its clock may be another", () => {
  const { shard, clock } = memoryShard(async () => ({ voided: [] }));
  const { leaseUntil } = lend(shard);
  const leasedUntil = shard.store.leasedUntil(clock.nowMs);
  assert(leaseUntil > clock.nowMs && leaseUntil < leasedUntil, `${leaseUntil} and ${leasedUntil}`);
  assert.equal(shard.store.leasedUntil(leasedUntil), 0);
});

test("a digest that others hold is not given up when one says no", async () => {
  const shard = lentShard(async () => ({ voided: [digest] }));
  lend(shard, "team/other" as RepositoryName);
  await askAll(shard);
  assert.equal(shard.due.at(dropJob, digest), undefined);
});

test("a digest that is held again is not given up, whatever was due", async () => {
  const shard = lentShard(async () => ({ voided: [digest] }));
  await askAll(shard);
  lend(shard);
  assert.equal(shard.due.at(dropJob, digest), undefined);
  shard.transaction((tx) => dropUnheld(tx, shard, [{ id: digest, at: 0 }]));
  assert.equal(shard.store.blob(digest)?.key, blob.key);
});

test("a holder that will be asked anyway is none that a scrub has to have asked", () => {
  const shard = lentShard(async () => ({ voided: [] }));
  const ask = () => shard.transaction((tx) => askUnasked(tx, shard, digest, repository));
  assert.equal(ask(), false);
  shard.transaction((tx) => shard.store.askHolder(tx, digest, repository, null));
  assert.equal(ask(), true);
});

test("bytes are deleted once more when their tombstone is forgotten, as a write may have landed since", async () => {
  const deleted: string[][] = [];
  const { shard } = memoryShard(async () => ({ voided: [] }), {
    delete: async (keys) => {
      deleted.push([keys].flat());
    },
  });
  const key = "blobs/1";
  shard.transaction((tx) => writeTombstone(tx, shard, { key, digest, sizeBytes: 1 }, "nobody holds it", 0));
  await deleteTombstoned(shard, [{ id: key, at: 0 }]);
  await forgetTombstones(shard, [{ id: key, at: 0 }]);
  assert.deepEqual(deleted, [[key], [key]]);
  assert.equal(shard.store.scheduledDeletion(key), undefined);
});

test("a collection without grace ends uploads that an earlier process of one machine left, and no others", () => {
  for (const [bindings, ended] of [
    [{ BLOB_FSYNC: {} }, ["blobs/before"]],
    // Of uploads to R2 nobody knows who has begun them.
    [{}, []],
  ] as const) {
    const { shard, clock } = memoryShard(async () => ({ voided: [] }));
    const own = { ...shard, env: { ...shard.env, ...bindings } as unknown as Env, since: clock.nowMs };
    const begun = { "blobs/before": clock.nowMs - 1, "blobs/since": clock.nowMs };
    clock.nowMs += 1000;
    const deletion = { digest, state: "doomed", reason: "cut short", sizeBytes: null } as const;
    own.transaction((tx) => {
      for (const [key, at] of Object.entries(begun))
        own.store.scheduleDeletion(tx, key, { ...deletion, dueAt: at + own.settings.uploadTtlMs });
      assert.equal(endDelays(tx, own, 100), ended.length);
    });
    const due = Object.keys(begun).filter((key) => own.store.scheduledDeletion(key)?.dueAt === clock.nowMs);
    assert.deepEqual(due, ended);
  }
});
