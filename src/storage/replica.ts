/**
 * The replica in KV, which pulls read. It may be stale and it caches misses. So a hit on content-addressed data is
 * reliable, and a miss means nothing: only the ledger decides that something does not exist.
 *
 * | key                        | value                                             |
 * | -------------------------- | ------------------------------------------------- |
 * | `manifest/<name>@<digest>` | {@link ManifestRow}: bytes, media type, pull plan |
 * | `tag/<name>:<tag>`         | {@link TagRow}                                    |
 * | `blob/<name>@<digest>`     | {@link BlobLocation}                              |
 *
 * Only `Ledger` writes it (objects/ledger/outbox.ts). On one machine there is none: KV would be another database on the
 * same disk, and the ledgers answer as fast.
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
import { answerWithin } from "../timeout.ts";

/** The subject of a replica row. */
export type ReplicaKey =
  | { kind: "manifest"; digest: Digest }
  | { kind: "tag"; tag: Tag }
  | { kind: "blob"; digest: Digest };

/** A {@link ReplicaKey} before its texts are checked. */
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

/** Parses a key of {@link replicaKey}; `undefined` for a key of another form. */
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

/** The location of a blob's bytes, for a repository that links it. */
export type BlobLocation = { digest: Digest; key: string; sizeBytes: number };

/** A manifest for pulls: its bytes, and the locations of the linked blobs that it references. */
export type ManifestRow = { mediaType: string; bytes: Uint8Array; plan: BlobLocation[] };

/** A tag: its digest, and the ledger's sequence number of the move; a higher one is newer. */
export type TagRow = { digest: Digest; sequence: number };

/** The value of a replica row, by its kind. */
export type ReplicaValue =
  | { kind: "manifest"; row: ManifestRow }
  | { kind: "tag"; row: TagRow }
  | { kind: "blob"; row: BlobLocation };

/** The name of a row: its repository and its key. */
export type ReplicaRowName = { repository: RepositoryName; key: ReplicaKey };

/** Requests that a row is rewritten. */
type Repair = (repository: RepositoryName, key: ReplicaKey) => Promise<void>;

/** How long one KV operation may take. */
const callMs = 30_000;

/** KV could not list its rows. It may be tried again. */
export class ReplicaFailed extends Error {
  override name = "ReplicaFailed";
}

/**
 * Reads and writes replica rows in KV. Each call is one KV operation. If KV fails a read of a pull, that is logged and
 * counts as a miss; all other failures throw.
 */
export class Replica {
  readonly #kv: KVNamespace;
  readonly #repair: Repair;

  /** `repair` is called with rows that are damaged; for readers they count as missing. */
  constructor(kv: KVNamespace, repair: Repair = async () => {}) {
    this.#kv = kv;
    this.#repair = repair;
  }

  /** The manifest of this digest; `undefined` if the replica does not have it. */
  async manifest(repository: RepositoryName, digest: Digest): Promise<ManifestRow | undefined> {
    return this.#read(repository, { kind: "manifest", digest }, (value) => {
      const row = decodeManifestRow(value);
      return digestOfContent(row.bytes, algorithmOf(digest)) === digest ? row : undefined;
    });
  }

  /** The tag; `undefined` if the replica does not have it. */
  async tag(repository: RepositoryName, tag: Tag): Promise<TagRow | undefined> {
    return this.#read(repository, { kind: "tag", tag }, (value) => {
      const row: TagRow = JSON.parse(new TextDecoder().decode(value));
      return parseDigest(row.digest) !== undefined && Number.isFinite(row.sequence) ? row : undefined;
    });
  }

  /** The location of a linked blob; `undefined` if the replica does not have it. */
  async blob(repository: RepositoryName, digest: Digest): Promise<BlobLocation | undefined> {
    return this.#read(repository, { kind: "blob", digest }, (value) => {
      const location: BlobLocation = JSON.parse(new TextDecoder().decode(value));
      return location.digest === digest && isLocation(location) ? location : undefined;
    });
  }

  /** Reads a row. `decode` returns `undefined`, or throws, if the value is damaged. */
  async #read<T>(
    repository: RepositoryName,
    key: ReplicaKey,
    decode: (value: Uint8Array) => T | undefined,
  ): Promise<T | undefined> {
    let value: ArrayBuffer | null;
    try {
      value = await answerWithin(callMs, this.#kv.get(replicaKey(repository, key), "arrayBuffer"));
    } catch (error) {
      log("warn", "replica read failed", { repository, ...key, error: String(error) });
      return undefined;
    }
    if (value === null) return undefined;
    const row = attempt(() => decode(new Uint8Array(value)));
    if (row === undefined) {
      log("error", "replica row damaged", { repository, ...key });
      // If the repair fails, the next reader or a scrub finds the row again.
      await this.#repair(repository, key).catch(() => {});
    }
    return row;
  }

  /** Reads a row that does not exist, to check whether KV answers. */
  async ping(): Promise<void> {
    await this.#kv.get("health-check");
  }

  /** Writes a row. */
  async put(repository: RepositoryName, key: ReplicaKey, value: ReplicaValue): Promise<void> {
    await answerWithin(callMs, this.#kv.put(replicaKey(repository, key), encode(value)));
  }

  /**
   * Whether a row has the value that it should have. That value is requested only after KV has answered. KV may still
   * answer with the value of a minute ago.
   */
  async isRight(
    repository: RepositoryName,
    key: ReplicaKey,
    expected: () => ReplicaValue | undefined,
  ): Promise<boolean> {
    const found = await answerWithin(callMs, this.#kv.get(replicaKey(repository, key), "arrayBuffer"));
    const value = expected();
    if (value === undefined || found === null) return value === undefined && found === null;
    return Buffer.from(encode(value)).equals(Buffer.from(found));
  }

  /**
   * A page of all rows, from the cursor of the previous page; without a cursor it is the last.
   *
   * @throws ReplicaFailed if KV fails.
   */
  async list(cursor: string | undefined): Promise<{ rows: ReplicaRowName[]; cursor: string | undefined }> {
    const listed = this.#kv.list(cursor === undefined ? {} : { cursor });
    const page = await answerWithin(callMs, listed).catch((cause) => {
      throw new ReplicaFailed(`list: ${cause}`, { cause });
    });
    return {
      rows: page.keys.map(({ name }) => parseReplicaKey(name)).filter((row) => row !== undefined),
      cursor: page.list_complete ? undefined : page.cursor,
    };
  }

  /** Removes a row. */
  async delete(repository: RepositoryName, key: ReplicaKey): Promise<void> {
    await answerWithin(callMs, this.#kv.delete(replicaKey(repository, key)));
  }
}

/** The replica of these bindings; `undefined` if there is no KV. */
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

/**
 * The encoding of a manifest's row: the length of the header (4 bytes, big-endian), the header as JSON, the manifest.
 */
function encodeManifestRow(row: ManifestRow): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify({ mediaType: row.mediaType, plan: row.plan }));
  const encoded = new Uint8Array(4 + header.length + row.bytes.length);
  new DataView(encoded.buffer).setUint32(0, header.length);
  encoded.set(header, 4);
  encoded.set(row.bytes, 4 + header.length);
  return encoded;
}

/** @throws Error if {@link encodeManifestRow} did not write the value. */
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
