import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { removeManifest, storeManifest } from "../../src/objects/ledger/manifests.ts";
import { makeParts } from "../../src/objects/ledger/parts.ts";
import { rereadJob } from "../../src/objects/ledger/reread.ts";
import { createSchema } from "../../src/objects/ledger/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import { digestOfContent } from "../../src/oci/digest.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { RepositoryName } from "../../src/oci/name.ts";
import { content, encode } from "../support/content.ts";
import { memoryStorage } from "../support/sqlite.ts";

const repository = "team/app" as RepositoryName;

test("a manifest that is deleted before it was read again keeps what it names for as long as it may be restored", () => {
  let nowMs = 1_700_000_000_000;
  const storage = memoryStorage();
  const { sql } = storage;
  const parts = makeParts(storage, {} as Env, { now: () => nowMs });
  transaction(storage, (tx) => createSchema(tx, repository, nowMs));
  const named = digestOfContent(content(), "sha256");
  const location = { digest: named, key: "blobs/1", sizeBytes: 1 };
  transaction(storage, (tx) => parts.blobs.write(tx, location, nowMs, nowMs));
  const mediaType = "application/vnd.example+json";
  const bytes = encode({ deep: [{ digest: named }] });
  const digest = digestOfContent(bytes, "sha256");
  // As the reader of an earlier release saw it: it names nothing.
  const facts = { mediaType, references: [] };
  const put = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: false };
  assert.deepEqual(
    transaction(storage, (tx) => storeManifest(tx, parts, put)),
    { ok: true },
  );
  transaction(storage, (tx) => parts.due.set(tx, rereadJob, "", nowMs));
  nowMs += parts.graceMs - 1;
  transaction(storage, (tx) => removeManifest(tx, parts, repository, digest, registryItself, "asked for"));
  const [blob] = sql
    .exec<{ unlinkAt: number }>("SELECT unlink_at AS unlinkAt FROM blobs WHERE digest = ?", named)
    .toArray();
  assert.equal(blob?.unlinkAt, nowMs + parts.graceMs);
});
