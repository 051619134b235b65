/**
 * Every key in R2. Those in KV are in replica.ts.
 *
 * | where | key                     | value                                                         |
 * | ----- | ----------------------- | ------------------------------------------------------------- |
 * | R2    | `blobs/<id>`            | the bytes of one upload; never used twice                     |
 * | R2    | `blobs/<session>.<id>`  | the same, of an upload that an `Upload` keeps                 |
 * | disk  | `blobs/<id>/`           | the same on one machine: a folder of parts (disk-files.ts)    |
 * | disk  | `wholes/<id>`           | or one file, if they were put at once                         |
 */

/**
 * A new key for the bytes of an upload in R2. It is never reused, whatever happens to the upload. `session`: the upload
 * session whose `Upload` owns the key until a shard does.
 */
export function newBlobKey(session?: string): string {
  return `blobs/${session === undefined ? "" : `${session}.`}${crypto.randomUUID()}`;
}

/** The upload session that a key was made for; `undefined` if a shard has owned it from the beginning. */
export function uploadOfKey(key: string): string | undefined {
  return /^blobs\/([0-9a-f-]{36})\./.exec(key)?.[1];
}

/** Whether a text is a key of {@link newBlobKey}. */
export function isBlobKey(text: string): boolean {
  return /^blobs\/([0-9a-f-]{36}\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
