/**
 * What pulls through the cache of an upstream ask of bindings, beside what the upstream is asked: exact numbers, which
 * test/costs/caching.test.ts holds against the running Worker. An isolate asks the index
 * of names once in ten minutes for a repository.
 */
import type { Calls } from "./operations.ts";

/** A pull through a cache. `asked`: the requests to the upstream; its token is known. */
export type CachedPullCost = { does: string; asked: string; calls: Calls; rowsWritten: number };

/** What each fetch of a blob asks, besides storing its bytes. */
const fetched = {
  "FETCHES.fetch": 1,
  "LEDGERS.blobState": 1,
  "BLOB_SHARDS.holders": 1,
  "BLOB_SHARDS.doom": 1,
  "UPSTREAM_STATES.takePlace": 1,
  "UPSTREAM_STATES.admit": 1,
  "UPSTREAM_STATES.report": 1,
  "UPSTREAM_STATES.leavePlace": 1,
  "BLOB_SHARDS.adopt": 1,
  "BLOBS.head": 1,
  "LEDGERS.linkBlob": 1,
} as const;

export const cachedPulls = {
  hit: {
    does: "pull a tag that is fresh",
    asked: "–",
    calls: { "LEDGERS.tagStates": 1, "MANIFESTS.get": 1 },
    rowsWritten: 0,
  },
  revalidated: {
    does: "pull a tag that is old, and did not move",
    asked: "HEAD",
    calls: {
      "LEDGERS.tagStates": 2,
      "FETCHES.tag": 1,
      "UPSTREAM_STATES.admit": 1,
      "UPSTREAM_STATES.report": 1,
      "LEDGERS.noteChecked": 1,
      "MANIFESTS.get": 1,
    },
    rowsWritten: 1,
  },
  "missing tag": {
    does: "pull a tag that is not here",
    asked: "GET",
    calls: {
      "NAME_INDEX.has": 1,
      "LEDGERS.tagStates": 2,
      "FETCHES.tag": 1,
      "UPSTREAM_STATES.admit": 1,
      "UPSTREAM_STATES.report": 1,
      "LEDGERS.putFetched": 1,
      "MANIFESTS.put": 2,
    },
    rowsWritten: 17,
  },
  "missing manifest": {
    does: "pull a manifest by its digest that is not here",
    asked: "GET",
    calls: {
      "NAME_INDEX.has": 1,
      "MANIFESTS.get": 1,
      "LEDGERS.manifest": 1,
      "FETCHES.manifest": 1,
      "LEDGERS.blobState": 1,
      "LEDGERS.statManifest": 1,
      "UPSTREAM_STATES.admit": 1,
      "UPSTREAM_STATES.report": 1,
      "LEDGERS.putFetched": 1,
      "MANIFESTS.put": 1,
    },
    rowsWritten: 10,
  },
  "missing blob": {
    does: "pull a layer of less than a part that is not here",
    asked: "GET",
    calls: {
      "NAME_INDEX.has": 1,
      "MANIFESTS.get": 1,
      "LEDGERS.locateBlob": 1,
      ...fetched,
      "BLOBS.put": 1,
      "BLOBS.get": 1,
    },
    rowsWritten: 10,
  },
  "missing large blob": {
    does: "pull a layer of 12 MiB that is not here",
    asked: "GET",
    calls: {
      "NAME_INDEX.has": 1,
      "MANIFESTS.get": 1,
      "LEDGERS.locateBlob": 1,
      ...fetched,
      "BLOBS.createMultipartUpload": 1,
      "BLOBS.uploadPart": 3,
      "BLOBS.complete": 1,
      "BLOBS.get": 1,
    },
    rowsWritten: 43,
  },
  "linked blob": {
    does: "pull a layer that another cache of the upstream has",
    asked: "HEAD",
    calls: {
      "NAME_INDEX.has": 1,
      "MANIFESTS.get": 2,
      "LEDGERS.locateBlob": 3,
      "FETCHES.fetch": 1,
      "LEDGERS.blobState": 1,
      "BLOB_SHARDS.holders": 1,
      "LEDGERS.info": 1,
      "UPSTREAM_STATES.admit": 1,
      "UPSTREAM_STATES.report": 1,
      "BLOB_SHARDS.lease": 1,
      "BLOBS.head": 1,
      "LEDGERS.linkBlob": 1,
    },
    rowsWritten: 4,
  },
} as const satisfies Record<string, CachedPullCost>;
