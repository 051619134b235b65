/**
 * What KV should say, as the ledger says it now.
 */
import type { ReplicaKey } from "../../storage/keys.ts";
import type { ReplicaValue } from "../../storage/replica.ts";
import type { BlobLinkStore } from "./blob-link-store.ts";
import type { ManifestStore } from "./manifest-store.ts";
import type { TagStore } from "./tag-store.ts";

/** The value of a row of the replica; `undefined` where there should be none. */
export function replicaValue(
  { manifests, tags, blobs }: { manifests: ManifestStore; tags: TagStore; blobs: BlobLinkStore },
  key: ReplicaKey,
): ReplicaValue | undefined {
  switch (key.kind) {
    case "manifest": {
      const row = manifests.read(key.digest);
      return row && { kind: "manifest", row };
    }
    case "tag": {
      const row = tags.read(key.tag);
      return row && { kind: "tag", row };
    }
    case "blob": {
      const row = blobs.location(key.digest);
      return row && { kind: "blob", row };
    }
  }
}
