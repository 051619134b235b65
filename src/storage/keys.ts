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
 * | R2    | `blobs/<session>.<id>`       | the same, of an upload that an `Upload` keeps      |
 * | disk  | `blobs/<id>/`                | the same on one machine: a folder (disk-bucket.ts) |
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

/** What a key of {@link replicaKey} is about; `undefined` for a key of somebody else's. */
export function parseReplicaKey(text: string): { repository: string; key: ReplicaKey } | undefined {
  const [, kind, repository = "", mark, id = ""] =
    /^(manifest|tag|blob)\/([^@:]+)([@:])(.+)$/.exec(text) ?? [];
  if (kind === "tag") return mark === ":" ? { repository, key: { kind, tag: id } } : undefined;
  const isContent = (kind === "manifest" || kind === "blob") && mark === "@";
  return isContent ? { repository, key: { kind, digest: id } } : undefined;
}

/**
 * A new key for the bytes of an upload in R2. It is never used again, whatever becomes of the upload. `session`: the
 * upload session whose `Upload` keeps the key until a shard does.
 */
export function newBlobKey(session?: string): string {
  return `blobs/${session === undefined ? "" : `${session}.`}${crypto.randomUUID()}`;
}

/** The upload session that a key was made for; `undefined` where a shard has known it from the beginning. */
export function uploadOfKey(key: string): string | undefined {
  return /^blobs\/([0-9a-f-]{36})\./.exec(key)?.[1];
}

/** Whether a text is a key of {@link newBlobKey}. */
export function isBlobKey(text: string): boolean {
  return /^blobs\/([0-9a-f-]{36}\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
