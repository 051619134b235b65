/** An upload session whose shard, ledger or bucket does not answer: what is written down before, and what is deleted. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { DueTable } from "../../src/objects/due.ts";
import { firstRow, transaction } from "../../src/objects/sql.ts";
import { ActiveWrite } from "../../src/objects/upload/active-write.ts";
import { adoptJob, cleanJob, UploadTables, uploadColumns } from "../../src/objects/upload/schema.ts";
import { Session } from "../../src/objects/upload/session.ts";
import type { SessionHost } from "../../src/objects/upload/session-host.ts";
import { registryItself as origin } from "../../src/oci/event.ts";
import { type Digest, digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { parseSettings } from "../../src/settings/settings.ts";
import type { Bucket, StoredPart } from "../../src/storage/bucket.ts";
import "../support/byte-streams.ts";
import { content, mebibyte } from "../support/content.ts";
import { namespaceOf } from "../support/namespace.ts";
import { memoryStorage } from "../support/sqlite.ts";

const id = "11111111-1111-4111-8111-111111111111";
const session = { id, repository: "team/app" as RepositoryName, algorithm: "sha256" } as const;

/** A session in memory, whose bucket, shard and ledger do what they are asked unless a test says otherwise. */
function newSession() {
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const storage = memoryStorage();
  const stored = new Map<string, Uint8Array>();
  const parts: Uint8Array[] = [];
  const calls: string[] = [];
  const bucket = {
    startMultipart: async (key: string) => {
      calls.push(`start ${state()}`);
      return { key, uploadId: "u" };
    },
    writePart: async (_: unknown, partNumber: number, bytes: Uint8Array): Promise<StoredPart> => {
      parts.push(bytes.slice());
      return { partNumber, etag: String(partNumber) };
    },
    completeMultipart: async ({ key }: { key: string }) => {
      stored.set(key, Buffer.concat(parts));
      return "completed" as const;
    },
    abortMultipart: async () => void calls.push("abort"),
    write: async (key: string, bytes: Uint8Array, digest: Digest) => {
      if (digestOfContent(bytes, "sha256") !== digest) return "mismatch" as const;
      stored.set(key, bytes);
      return "stored" as const;
    },
    delete: async (keys: string[]) => {
      calls.push("delete");
      for (const key of keys) stored.delete(key);
    },
    sizeOf: async (key: string) => stored.get(key)?.byteLength,
  };
  const shard = {
    doom: async () => void calls.push("doom"),
    adopt: async (blob: { digest: Digest; key: string; sizeBytes: number }) => {
      calls.push(`adopt ${state()}`);
      return { ok: true, adoption: { ...blob, lease: 1, leaseUntil: clock.nowMs + 1000 } };
    },
  };
  const ledger = {
    sessionState: async () => ({ state: "open" }),
    linkBlob: async () => "linked",
    locateBlob: async () => ({}),
    cancelSession: async () => {},
  };
  const env = { BLOB_SHARDS: namespaceOf(shard), LEDGERS: namespaceOf(ledger) } as unknown as Env;
  const host: SessionHost = {
    objects: env,
    clock,
    settings: parseSettings(env),
    bucket: bucket as unknown as Bucket,
    space: undefined,
    storage,
    change: (work) => transaction(storage, work),
    due: new DueTable(storage, clock, uploadColumns),
    tables: new UploadTables(storage),
    hold: () => {},
    keepOutcomeLater: () => {},
  };
  const state = () => {
    if (!host.tables.exist()) return "nowhere";
    return firstRow<{ state: string }>(storage.sql, "SELECT state FROM sessions")?.state ?? "nowhere";
  };
  storage.setAlarm = async () => {};
  const upload = new Session(host, id);
  return {
    upload,
    clock,
    bucket,
    shard,
    ledger,
    stored,
    calls,
    state,
    due: host.due,
    settings: host.settings,
    /** Sends bytes, and closes the session if a digest is given. */
    write: (bytes: Uint8Array, digest?: Digest, started = false) => {
      const body = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
      const write = { session, started, origin, ...(digest === undefined ? {} : { digest }) };
      return upload.write(write, bytes.byteLength === 0 ? null : body, new ActiveWrite(clock));
    },
  };
}

const digestOf = (bytes: Uint8Array) => digestOfContent(bytes, "sha256");
const outOfReach = () => Promise.reject(new Error("out of reach"));
const large = content(6 * mebibyte);

test("a session is written down before anything of it is in the bucket, and as verified before it is adopted", async () => {
  const { write, calls, stored } = newSession();
  assert((await write(large, digestOf(large))).ok);
  assert.deepEqual(calls, ["start open", "adopt finishing"]);
  assert.deepEqual([...stored.values()].map(digestOf), [digestOf(large)]);
});

test("verified bytes that the shard cannot adopt now are adopted by the alarm, and deleted by nobody meanwhile", async () => {
  const { upload, write, shard, due, calls, clock, state } = newSession();
  const { adopt } = shard;
  shard.adopt = outOfReach;
  const bytes = content();
  await assert.rejects(write(bytes, digestOf(bytes)));
  assert.equal(due.at(adoptJob, id), clock.nowMs + 30_000);
  assert.equal((await upload.cancel(session, true)).ok, true);
  assert.deepEqual([state(), calls], ["finishing", []]);
  shard.adopt = adopt;
  await upload.adopt();
  assert.deepEqual([state(), due.at(adoptJob, id)], ["finished", undefined]);
});

test("verified bytes that nobody comes back for are left to the shard, which deletes them", async () => {
  const { upload, write, shard, calls, state, clock, settings } = newSession();
  shard.adopt = outOfReach;
  const bytes = content();
  await assert.rejects(write(bytes, digestOf(bytes)));
  clock.nowMs += 2 * settings.uploadTtlMs;
  await upload.expire();
  assert.deepEqual([state(), calls], ["cancelled", ["doom"]]);
  // They may be the content of their digest by now.
  clock.nowMs += 2 * settings.uploadTtlMs;
  await upload.expire();
  assert.deepEqual([state(), calls], ["nowhere", ["doom"]]);
});

test("a session that is given up is not forgotten before its bytes and parts are deleted", async () => {
  const { upload, write, bucket, calls, state, due, clock, settings } = newSession();
  await write(large);
  const deletes = bucket.delete;
  bucket.delete = outOfReach;
  assert((await upload.cancel(session, true)).ok);
  assert.notEqual(due.at(cleanJob, id), undefined);
  clock.nowMs += 2 * settings.uploadTtlMs;
  await upload.expire();
  assert.equal(state(), "cancelled");
  bucket.delete = deletes;
  await upload.clean();
  await upload.expire();
  assert.equal(state(), "nowhere");
  assert.deepEqual(calls, ["start open", "abort", "abort", "delete", "abort", "delete"]);
});

test("the repetition of a closing PUT is answered for its own digest alone, as long as the blob is there", async () => {
  const { upload, write, ledger } = newSession();
  const bytes = content();
  assert((await write(bytes, digestOf(bytes))).ok);
  upload.keepOutcome();
  assert((await write(new Uint8Array(), digestOf(bytes), true)).ok);
  assert(!(await write(new Uint8Array(), digestOf(large), true)).ok);
  ledger.locateBlob = async () => undefined as never;
  assert(!(await write(new Uint8Array(), digestOf(bytes), true)).ok);
});

test("what has all its bytes is closed with no other digest", async () => {
  const { write, bucket } = newSession();
  const put = bucket.write;
  bucket.write = outOfReach;
  const bytes = content();
  await assert.rejects(write(bytes, digestOf(bytes)));
  bucket.write = put;
  assert(!(await write(new Uint8Array(), digestOf(large), true)).ok);
  assert((await write(new Uint8Array(), digestOf(bytes), true)).ok);
});

test("parts that the bucket has lost are not taken for the blob", async () => {
  const { write, bucket, state } = newSession();
  await write(large);
  bucket.completeMultipart = async () => "unknown" as never;
  await assert.rejects(write(new Uint8Array(), digestOf(large), true));
  assert.equal(state(), "closing");
});

test("a session owns its key until its bytes are adopted, and if it was given up", async () => {
  for (const [end, owns] of [
    ["open", true],
    ["finished", false],
    ["given up", true],
  ] as const) {
    const { upload, write, bucket } = newSession();
    let key = "";
    const start = bucket.startMultipart;
    bucket.startMultipart = async (of) => {
      key = of;
      return start(of);
    };
    await write(large);
    if (end === "finished") assert((await write(new Uint8Array(), digestOf(large), true)).ok);
    upload.keepOutcome();
    if (end === "given up") await upload.cancel(session, true);
    assert.equal(upload.ownsKey(key), owns, end);
    assert.equal(upload.ownsKey("blobs/other"), false);
  }
});
