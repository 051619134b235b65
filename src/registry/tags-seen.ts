/**
 * The newest place of each tag that this isolate has seen, so that it never goes back to an older one: the replica's
 * rows may lag, and carry the ledger's sequence number.
 */
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName, Tag } from "../oci/name.ts";
import type { Replica, TagRow } from "../storage/replica.ts";
import { ByteLru } from "./lru.ts";

const memoryBytes = 4 * 1024 * 1024;

/** What one isolate has seen of tags. */
export class TagsSeen {
  readonly #newest = new ByteLru<TagRow>(memoryBytes, () => 500);

  /** Notes where a tag points, as the ledger or the replica said; returns the newest that is known. */
  note(repository: RepositoryName, tag: Tag, row: TagRow): TagRow {
    const key = `${repository}:${tag}`;
    const known = this.#newest.get(key);
    if (known !== undefined && known.sequence >= row.sequence) return known;
    const { digest, sequence } = row;
    this.#newest.set(key, { digest, sequence });
    return row;
  }

  /** Where the replica says that a tag points, or where it was seen to point later; `undefined` when unknown. */
  async fromReplica(
    replica: Replica | undefined,
    repository: RepositoryName,
    tag: Tag,
  ): Promise<Digest | undefined> {
    const row = await replica?.tag(repository, tag);
    return row && this.note(repository, tag, row).digest;
  }
}
