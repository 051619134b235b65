import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { removeManifest, storeManifest } from "../../src/objects/ledger/manifests.ts";
import { makeParts } from "../../src/objects/ledger/parts.ts";
import { rereadJob } from "../../src/objects/ledger/reread.ts";
import { createSchema } from "../../src/objects/ledger/schema.ts";
import { digestOfContent } from "../../src/oci/digest.ts";
import { registryItself } from "../../src/oci/event.ts";
import type { RepositoryName } from "../../src/oci/name.ts";
import { content, encode } from "../support/content.ts";
import { memorySql } from "../support/sqlite.ts";

const repository = "team/app" as RepositoryName;

test("a manifest that is deleted before it was read again keeps what it names for as long as it may be restored", () => {
  let nowMs = 1_700_000_000_000;
  const sql = memorySql();
  const parts = makeParts({ sql } as DurableObjectStorage, {} as Env, { now: () => nowMs });
  createSchema(sql, repository, nowMs);
  const named = digestOfContent(content(), "sha256");
  parts.blobs.write({ digest: named, key: "blobs/1", sizeBytes: 1 }, nowMs, nowMs);
  const mediaType = "application/vnd.example+json";
  const bytes = encode({ deep: [{ digest: named }] });
  const digest = digestOfContent(bytes, "sha256");
  // As the reader of an earlier release saw it: it names nothing.
  const facts = { mediaType, references: [] };
  const put = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: false };
  assert.deepEqual(
    storeManifest(parts, put, () => {}),
    { ok: true },
  );
  parts.due.set(rereadJob, "", nowMs);
  nowMs += parts.graceMs - 1;
  removeManifest(parts, repository, digest, registryItself, "asked for");
  const [blob] = sql
    .exec<{ unlinkAt: number }>("SELECT unlink_at AS unlinkAt FROM blobs WHERE digest = ?", named)
    .toArray();
  assert.equal(blob?.unlinkAt, nowMs + parts.graceMs);
});
