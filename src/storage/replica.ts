/**
 * The replica in KV: what pulls read. It may lag and it caches misses, so a hit on content-addressed data is good
 * and a miss says nothing; only the ledger says no.
 *
 * | key                        | value                                             |
 * | -------------------------- | ------------------------------------------------- |
 * | `manifest/<name>@<digest>` | {@link ManifestRow}: bytes, media type, pull plan |
 * | `tag/<name>:<tag>`         | {@link TagRow}                                    |
 * | `blob/<name>@<digest>`     | {@link BlobLocation}                              |
 *
 * `Ledger` alone writes it (objects/ledger/outbox.ts). On one machine there is none: KV would be one more
 * database on the same disk, and the ledgers answer as fast.
 */

import { log } from "../log.ts";
import {
  algorithmOf,
  type Digest,
  digestOfContent,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../oci/reference.ts";

/** What a row of the replica is about. */
export type ReplicaKey =
  | { kind: "manifest"; digest: Digest }
  | { kind: "tag"; tag: Tag }
  | { kind: "blob"; digest: Digest };

/** A {@link ReplicaKey} of texts. */
type ReplicaKeyText = { kind: "tag"; tag: string } | { kind: "manifest" | "blob"; digest: string };

/**
 * The KV key of a row of the replica.
 *
 * It has at most 512 bytes: the longest name (255) with the longest digest (135) fits. `@` and `:` cannot occur in a
 * repository name, so no two keys coincide.
 */
export function replicaKey(repository: string, key: ReplicaKeyText): string {
  return key.kind === "tag" ? `tag/${repository}:${key.tag}` : `${key.kind}/${repository}@${key.digest}`;
}

/** What a key of {@link replicaKey} is about; `undefined` for a key of somebody else's. */
function parseReplicaKey(text: string): ReplicaRowName | undefined {
  const [, kind, name = "", mark, id = ""] = /^(manifest|tag|blob)\/([^@:]+)([@:])(.+)$/.exec(text) ?? [];
  const repository = parseRepositoryName(name);
  if (repository === undefined) return undefined;
  if (kind === "tag") {
    const tag = mark === ":" ? parseTag(id) : undefined;
    return tag && { repository, key: { kind, tag } };
  }
  const digest = mark === "@" ? parseDigest(id) : undefined;
  const isContent = digest !== undefined && (kind === "manifest" || kind === "blob");
  return isContent ? { repository, key: { kind, digest } } : undefined;
}

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
export type ReplicaRowName = { repository: RepositoryName; key: ReplicaKey };

/** Has a row written anew. */
type Repair = (repository: RepositoryName, key: ReplicaKey) => Promise<void>;

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
  readonly #repair: Repair;

  /** `repair` is told of rows that are not what was written; to whoever reads them they are not there. */
  constructor(kv: KVNamespace, repair: Repair = async () => {}) {
    this.#kv = kv;
    this.#repair = repair;
  }

  /** The manifest of this digest; `undefined` when the replica does not know. */
  async manifest(repository: RepositoryName, digest: Digest): Promise<ManifestRow | undefined> {
    return this.#read(repository, { kind: "manifest", digest }, (value) => {
      const row = decodeManifestRow(value);
      return digestOfContent(row.bytes, algorithmOf(digest)) === digest ? row : undefined;
    });
  }

  /** The tag; `undefined` when the replica does not know. */
  async tag(repository: RepositoryName, tag: Tag): Promise<TagRow | undefined> {
    return this.#read(repository, { kind: "tag", tag }, (value) => {
      const row: TagRow = JSON.parse(new TextDecoder().decode(value));
      return parseDigest(row.digest) !== undefined && Number.isFinite(row.sequence) ? row : undefined;
    });
  }

  /** Where a linked blob is; `undefined` when the replica does not know. */
  async blob(repository: RepositoryName, digest: Digest): Promise<BlobLocation | undefined> {
    return this.#read(repository, { kind: "blob", digest }, (value) => {
      const location: BlobLocation = JSON.parse(new TextDecoder().decode(value));
      return location.digest === digest && isLocation(location) ? location : undefined;
    });
  }

  /** Reads a row. `decode` returns `undefined`, or throws, for what nobody wrote there. */
  async #read<T>(
    repository: RepositoryName,
    key: ReplicaKey,
    decode: (value: Uint8Array) => T | undefined,
  ): Promise<T | undefined> {
    let value: ArrayBuffer | null;
    try {
      value = await this.#kv.get(replicaKey(repository, key), "arrayBuffer");
    } catch (error) {
      log("warn", "replica read failed", { repository, ...key, error: String(error) });
      return undefined;
    }
    if (value === null) return undefined;
    const row = attempt(() => decode(new Uint8Array(value)));
    if (row === undefined) {
      log("error", "replica row damaged", { repository, ...key });
      // If that fails, the next reader, or a scrub, comes upon it again.
      await this.#repair(repository, key).catch(() => {});
    }
    return row;
  }

  /** Reads a row that is not there: whether KV answers. */
  async ping(): Promise<void> {
    await this.#kv.get("health-check");
  }

  /** Writes a row. */
  async put(repository: RepositoryName, key: ReplicaKey, value: ReplicaValue): Promise<void> {
    await this.#kv.put(replicaKey(repository, key), encode(value));
  }

  /**
   * Whether a row says what it should. What it should is asked for once KV has answered; KV may still answer with
   * what was written a minute ago.
   */
  async isRight(
    repository: RepositoryName,
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
  async delete(repository: RepositoryName, key: ReplicaKey): Promise<void> {
    await this.#kv.delete(replicaKey(repository, key));
  }
}

/** The replica of these bindings; `undefined` where there is no KV. */
export function openReplica(
  { MANIFESTS }: { MANIFESTS?: KVNamespace },
  repair?: Repair,
): Replica | undefined {
  return MANIFESTS && new Replica(MANIFESTS, repair);
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

/** @throws Error for what {@link encodeManifestRow} did not write. */
function decodeManifestRow(encoded: Uint8Array): ManifestRow {
  const headerLength = new DataView(encoded.buffer, encoded.byteOffset).getUint32(0);
  const { mediaType, plan }: Omit<ManifestRow, "bytes"> = JSON.parse(
    new TextDecoder().decode(encoded.subarray(4, 4 + headerLength)),
  );
  if (typeof mediaType !== "string" || !plan.every(isLocation)) throw new Error("the header is damaged");
  return { mediaType, plan, bytes: encoded.slice(4 + headerLength) };
}

function isLocation({ digest, key, sizeBytes }: BlobLocation): boolean {
  return parseDigest(digest) !== undefined && typeof key === "string" && Number.isSafeInteger(sizeBytes);
}

function attempt<T>(decode: () => T | undefined): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
