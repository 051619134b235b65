/**
 * The replica in KV: what pulls read. It may lag and it caches misses, so a hit on content-addressed data is good
 * and a miss says nothing; only the ledger says no.
 *
 * `Repository` alone writes it (objects/repository/outbox.ts).
 */
import type { Digest } from "../oci/digest.ts";
import { parseReplicaKey, type ReplicaKey, replicaKey } from "./keys.ts";

/** Where the bytes of a blob are, for a repository that links it. */
export type BlobLocation = { digest: Digest; key: string; sizeBytes: number };

/** A manifest as it is kept for pulls: its bytes, and where each blob that it names and the repository links is. */
export type ManifestRow = { mediaType: string; bytes: Uint8Array; plan: BlobLocation[] };

/** A tag: what it points at, and the ledger's sequence number of that move; a higher one is newer. */
export type TagRow = { digest: Digest; sequence: number };

/** The value of a replica row, by what the row is about. */
export type ReplicaValue =
  | { kind: "manifest"; row: ManifestRow }
  | { kind: "tag"; row: TagRow }
  | { kind: "blob"; row: BlobLocation };

/** Which row it is: whose, and what about. */
export type ReplicaRowName = { repository: string; key: ReplicaKey };

/** KV could not list its rows. It may be asked again. */
export class ReplicaFailed extends Error {
  override name = "ReplicaFailed";
}

/**
 * Reads and writes replica rows in KV. Each call is one KV operation. A pull that KV fails goes on as if the replica
 * did not know, and that is logged; whatever else fails throws.
 */
export class Replica {
  readonly #kv: KVNamespace;

  constructor(kv: KVNamespace) {
    this.#kv = kv;
  }

  /** The manifest of this digest; `undefined` when the replica does not know. */
  async manifest(repository: string, digest: string): Promise<ManifestRow | undefined> {
    return this.#read(repository, { kind: "manifest", digest }, async (key) => {
      const value = await this.#kv.get(key, "arrayBuffer");
      return value === null ? undefined : decodeManifestRow(new Uint8Array(value));
    });
  }

  /** The tag; `undefined` when the replica does not know. */
  async tag(repository: string, tag: string): Promise<TagRow | undefined> {
    return this.#read(repository, { kind: "tag", tag }, (key) => this.#kv.get<TagRow>(key, "json"));
  }

  /** Where a linked blob is; `undefined` when the replica does not know. */
  async blob(repository: string, digest: string): Promise<BlobLocation | undefined> {
    return this.#read(repository, { kind: "blob", digest }, (key) => this.#kv.get<BlobLocation>(key, "json"));
  }

  async #read<T>(
    repository: string,
    key: ReplicaKey,
    get: (key: string) => Promise<T | null | undefined>,
  ): Promise<T | undefined> {
    try {
      return (await get(replicaKey(repository, key))) ?? undefined;
    } catch (error) {
      console.warn(
        JSON.stringify({ event: "replica read failed", repository, ...key, error: String(error) }),
      );
      return undefined;
    }
  }

  /** Reads a row that is not there: whether KV answers. */
  async ping(): Promise<void> {
    await this.#kv.get("health-check");
  }

  /** Writes a row. */
  async put(repository: string, key: ReplicaKey, value: ReplicaValue): Promise<void> {
    await this.#kv.put(replicaKey(repository, key), encode(value));
  }

  /**
   * Whether a row says what it should. What it should is asked for once KV has answered; KV may still answer with
   * what was written a minute ago.
   */
  async isRight(
    repository: string,
    key: ReplicaKey,
    expected: () => ReplicaValue | undefined,
  ): Promise<boolean> {
    const found = await this.#kv.get(replicaKey(repository, key), "arrayBuffer");
    const value = expected();
    if (value === undefined || found === null) return value === undefined && found === null;
    return Buffer.from(encode(value)).equals(Buffer.from(found));
  }

  /**
   * A page of the rows that there are, from a cursor of the page before; without a cursor it was the last.
   *
   * @throws ReplicaFailed when KV fails.
   */
  async list(cursor: string | undefined): Promise<{ rows: ReplicaRowName[]; cursor: string | undefined }> {
    const page = await this.#kv.list(cursor === undefined ? {} : { cursor }).catch((cause) => {
      throw new ReplicaFailed(`list: ${cause}`, { cause });
    });
    return {
      rows: page.keys.map(({ name }) => parseReplicaKey(name)).filter((row) => row !== undefined),
      cursor: page.list_complete ? undefined : page.cursor,
    };
  }

  /** Removes a row. */
  async delete(repository: string, key: ReplicaKey): Promise<void> {
    await this.#kv.delete(replicaKey(repository, key));
  }
}

function encode(value: ReplicaValue): Uint8Array {
  return value.kind === "manifest"
    ? encodeManifestRow(value.row)
    : new TextEncoder().encode(JSON.stringify(value.row));
}

/** One value holds both parts: the length of the header (4 bytes, big-endian), the header as JSON, the manifest. */
function encodeManifestRow(row: ManifestRow): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify({ mediaType: row.mediaType, plan: row.plan }));
  const encoded = new Uint8Array(4 + header.length + row.bytes.length);
  new DataView(encoded.buffer).setUint32(0, header.length);
  encoded.set(header, 4);
  encoded.set(row.bytes, 4 + header.length);
  return encoded;
}

function decodeManifestRow(encoded: Uint8Array): ManifestRow {
  const headerLength = new DataView(encoded.buffer, encoded.byteOffset).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(encoded.subarray(4, 4 + headerLength)));
  return { mediaType: header.mediaType, plan: header.plan, bytes: encoded.slice(4 + headerLength) };
}
