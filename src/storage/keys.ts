/**
 * Every key in KV and in R2.
 *
 * KV keys are at most 512 bytes: the longest name (255) with the longest digest (135) fits. `@` and `:` cannot
 * occur in a repository name, so no two keys coincide.
 *
 * | where | key                          | value                                              |
 * | ----- | ---------------------------- | -------------------------------------------------- |
 * | KV    | `manifest/<name>@<digest>`   | {@link ManifestRow}: bytes, media type, pull plan  |
 * | KV    | `tag/<name>:<tag>`           | {@link TagRow}                                     |
 * | KV    | `blob/<name>@<digest>`       | {@link BlobLocation}                               |
 * | R2    | `blobs/<id>`                 | the bytes of one upload; never used twice          |
 */

/** What a row of the replica is about. */
export type ReplicaKey =
  | { kind: "manifest"; digest: string }
  | { kind: "tag"; tag: string }
  | { kind: "blob"; digest: string };

/** The KV key of a row of the replica. */
export function replicaKey(repository: string, key: ReplicaKey): string {
  switch (key.kind) {
    case "manifest":
      return `manifest/${repository}@${key.digest}`;
    case "tag":
      return `tag/${repository}:${key.tag}`;
    case "blob":
      return `blob/${repository}@${key.digest}`;
  }
}

/** A new key for the bytes of an upload in R2. It is never used again, whatever becomes of the upload. */
export function newBlobKey(): string {
  return `blobs/${crypto.randomUUID()}`;
}
