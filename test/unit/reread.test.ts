import assert from "node:assert/strict";
import test from "node:test";
import { rereadJob } from "../../src/objects/ledger/reread.ts";
import { firstRow } from "../../src/objects/sql.ts";
import { registryItself } from "../../src/oci/event.ts";
import { digestOfContent, type RepositoryName } from "../../src/oci/reference.ts";
import { content, encode } from "../support/content.ts";
import { memoryLedger } from "../support/ledger.ts";

const repository = "team/app" as RepositoryName;

test("a manifest that is deleted before it was read again keeps what it names for as long as it may be restored", () => {
  const { blobs, manifests, deleted, due, clock, settings, sql, change } = memoryLedger();
  const named = digestOfContent(content(), "sha256");
  change((tx) => blobs.write(tx, { digest: named, key: "blobs/1", sizeBytes: 1 }, clock.nowMs));
  const mediaType = "application/vnd.example+json";
  const bytes = encode({ deep: [{ digest: named }] });
  const digest = digestOfContent(bytes, "sha256");
  // As the reader of an earlier release saw it: it names nothing.
  const facts = { mediaType, references: [] };
  const put = { repository, digest, bytes, facts, tags: [], origin: registryItself, sparse: false };
  assert.deepEqual(
    change((tx) => manifests.store(tx, put)),
    { ok: true },
  );
  change((tx) => due.set(tx, rereadJob, "", clock.nowMs));
  clock.nowMs += settings.gcGraceMs - 1;
  change((tx) => deleted.remove(tx, digest, registryItself));
  const query = "SELECT unlink_at AS unlinkAt FROM blobs WHERE digest = ?";
  const blob = firstRow<{ unlinkAt: number }>(sql, query, named);
  assert.equal(blob?.unlinkAt, clock.nowMs + settings.gcGraceMs);
});
