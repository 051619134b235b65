/** The replica, read by names that a test has as texts. */
import type { Digest, RepositoryName, Tag } from "../../src/oci/reference.ts";
import { Replica } from "../../src/storage/replica.ts";

/** Reads the rows of a KV namespace. */
export function textReplica(kv: KVNamespace) {
  const replica = new Replica(kv);
  return {
    manifest: (repository: string, digest: string) =>
      replica.manifest(repository as RepositoryName, digest as Digest),
    tag: (repository: string, tag: string) => replica.tag(repository as RepositoryName, tag as Tag),
    blob: (repository: string, digest: string) =>
      replica.blob(repository as RepositoryName, digest as Digest),
  };
}
