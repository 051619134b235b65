/** What is read from KV, where that fails or is damaged. */
import assert from "node:assert/strict";
import test from "node:test";
import { setLogFormat } from "../../src/log.ts";
import { type Digest, digestOfContent, parseTag, type RepositoryName } from "../../src/oci/reference.ts";
import { type BlobLocation, Replica, type ReplicaKey, replicaKey } from "../../src/storage/replica.ts";
import { content } from "../support/content.ts";

setLogFormat("none");
const repository = "team/app" as RepositoryName;
const bytes = content();
const digest: Digest = digestOfContent(bytes, "sha256");
const other: Digest = digestOfContent(content(), "sha256");
const location: BlobLocation = { digest, key: "blobs/1", sizeBytes: 1000 };
const tag = parseTag("v1");
assert(tag !== undefined);
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A replica whose KV has this under a key, or fails; and the rows that are to be written again. */
function replicaWith(key: ReplicaKey, value: Uint8Array | Error) {
  const repairs: [string, ReplicaKey][] = [];
  const kv = {
    get: async (asked: string) => {
      if (value instanceof Error) throw value;
      return asked === replicaKey(repository, key) ? Uint8Array.from(value).buffer : null;
    },
  };
  const repair = async (name: RepositoryName, row: ReplicaKey) => {
    repairs.push([name, row]);
    throw new Error("the ledger cannot be reached");
  };
  return { replica: new Replica(kv as unknown as KVNamespace, repair), repairs };
}

/** A manifest's row with this header. */
function row(header: unknown, manifest = bytes): Uint8Array {
  const encoded = encode(header);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, encoded.byteLength);
  return Buffer.concat([length, encoded, manifest]);
}

const mediaType = "application/vnd.oci.image.manifest.v1+json";
const damaged: Record<ReplicaKey["kind"], [what: string, value: Uint8Array][]> = {
  blob: [
    ["is no JSON", new Uint8Array(3)],
    ["is of another digest", encode({ ...location, digest: other })],
    ["has no size", encode({ ...location, sizeBytes: "1000" })],
    ["has no key", encode({ ...location, key: 1 })],
  ],
  tag: [
    ["is no JSON", new Uint8Array(3)],
    ["has no digest", encode({ digest: "sha256:1", sequence: 1 })],
    ["has no sequence", encode({ digest, sequence: "1" })],
  ],
  manifest: [
    ["is too short", new Uint8Array(3)],
    ["is of another digest", row({ mediaType, plan: [] }, content())],
    ["has no media type", row({ plan: [] })],
    ["has no plan", row({ mediaType })],
    ["names a place that is none", row({ mediaType, plan: [{ ...location, key: 1 }] })],
  ],
};

const keys: Record<ReplicaKey["kind"], ReplicaKey> = {
  blob: { kind: "blob", digest },
  tag: { kind: "tag", tag },
  manifest: { kind: "manifest", digest },
};

function read(replica: Replica, { kind }: ReplicaKey): Promise<unknown> {
  if (kind === "tag") return replica.tag(repository, tag as NonNullable<typeof tag>);
  return kind === "blob" ? replica.blob(repository, digest) : replica.manifest(repository, digest);
}

async function assertWrittenAgain(key: ReplicaKey): Promise<void> {
  for (const [what, value] of damaged[key.kind]) {
    const { replica, repairs } = replicaWith(key, value);
    assert.equal(await read(replica, key), undefined, what);
    assert.deepEqual(repairs, [[repository, key]], what);
  }
}

test("the row of a blob that is damaged is none, and is written again", () => assertWrittenAgain(keys.blob));

test("so is that of a tag", () => assertWrittenAgain(keys.tag));

test("so is that of a manifest", () => assertWrittenAgain(keys.manifest));

test("rows that cannot be read are none", async () => {
  for (const key of Object.values(keys)) {
    const { replica, repairs } = replicaWith(key, new Error("KV is away"));
    assert.equal(await read(replica, key), undefined);
    assert.deepEqual(repairs, []);
  }
});

test("rows that are right are read", async () => {
  const rows: [ReplicaKey, Uint8Array, unknown][] = [
    [keys.blob, encode(location), location],
    [keys.tag, encode({ digest, sequence: 7 }), { digest, sequence: 7 }],
    [keys.manifest, row({ mediaType, plan: [location] }), { mediaType, plan: [location], bytes }],
  ];
  for (const [key, value, expected] of rows) {
    const { replica, repairs } = replicaWith(key, value);
    assert.deepEqual(await read(replica, key), expected);
    assert.deepEqual(repairs, []);
  }
});
