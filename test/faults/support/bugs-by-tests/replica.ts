/** Bugs of the replica and of what isolates keep in memory. */
import { bug, type TestedBug } from "./tested-bug.ts";

export const ofReplica: Record<string, TestedBug> = {
  "small blobs are kept unhashed": bug(
    "test/objects/damage.test.ts",
    "small bytes that are not their digest's are not kept, and mark the digest at once",
    "src/registry/blobs.ts",
    "digestOfContent(bytes, algorithmOf(location.digest)) === location.digest ? bytes : undefined",
    "bytes",
  ),
  "a write to KV that lands after a delete is never taken back": {
    file: "test/unit/outbox.test.ts",
    test: "a delete is repeated once, as a write that was given up may land after it",
    changes: [
      {
        file: "src/objects/ledger/outbox.ts",
        from: "const mayLandUntil = earlier !== null ? earlier : isDelete ? now + this.#repeatMs : null;",
        to: "const mayLandUntil = isDelete ? null : earlier;",
      },
      {
        file: "src/objects/ledger/outbox.ts",
        from: "else if (isDelete) this.#keep(tx, mark, now + this.#repeatMs, now + this.#repeatMs);",
        to: "",
      },
    ],
  },
  "a look-up of a tag joins one that began before it": bug(
    "test/unit/shared-calls.test.ts",
    "look-ups that arrive while one is in flight share the next call, and never join that one",
    "src/registry/shared-calls.ts",
    `    if (calls.waiting === batch) calls.waiting = undefined;
    const items = [...batch.items];
    const answered = call(items);
`,
    `    const items = [...batch.items];
    const answered = call(items).finally(() => {
      if (calls.waiting === batch) calls.waiting = undefined;
    });
`,
  ),
  "a row that is being written is begun anew by a change": bug(
    "test/unit/outbox.test.ts",
    "a row that changes while it is written is written again afterwards, and not at the same time",
    "src/objects/ledger/outbox.ts",
    "const isNew = !this.#inFlight.has(textOf(row)) && !this.#hasRow(row);",
    "const isNew = !this.#hasRow(row);",
  ),
  "a batch has any number of rows": bug(
    "test/unit/outbox.test.ts",
    "a batch has no more rows than can be written before any may land late, each once",
    "src/objects/ledger/outbox.ts",
    " && this.#fresh.size < batchSize)",
    ")",
  ),
  "a row of a batch is written twice at once": bug(
    "test/unit/outbox.test.ts",
    "a batch has no more rows than can be written before any may land late, each once",
    "src/objects/ledger/outbox.ts",
    "marked.filter((row) => !this.#hasRow(row));",
    "marked;",
  ),
  "a row is written twice at once": bug(
    "test/unit/outbox.test.ts",
    "a row that changes while it is written is written again afterwards, and not at the same time",
    "src/objects/ledger/outbox.ts",
    "rows.filter((mark) => !this.#inFlight.has(textOf(mark)));",
    "rows;",
  ),
  "a change during a write is lost": bug(
    "test/unit/outbox.test.ts",
    "a row that changes while it is written is written again afterwards, and not at the same time",
    "src/objects/ledger/outbox.ts",
    "?.version === version;",
    " !== undefined;",
  ),
  "a write that may land late is not repeated": bug(
    "test/unit/outbox.test.ts",
    "a write that failed may land later, so the one after it is repeated once it cannot any more",
    "src/objects/ledger/outbox.ts",
    "if (mayLandUntil !== null && mayLandUntil > now) {",
    "if (mayLandUntil !== null && mayLandUntil < 0) {",
  ),
  "a batch under way is written again": bug(
    "test/unit/outbox.test.ts",
    "a batch that is under way is not taken for one whose object died",
    "src/objects/ledger/outbox.ts",
    "if (this.#batchesUnderWay.has(id)) continue;",
    "",
  ),
  "a batch whose object died is not written again": bug(
    "test/unit/outbox.test.ts",
    "what an object was writing when it died is written by its next life, and once more",
    "src/objects/ledger/outbox.ts",
    "          this.#keep(tx, row, this.#host.clock.now(), until);\n          this.#markRow(tx, row);\n",
    "",
  ),
  "what a dead object may have written late is not written over": bug(
    "test/unit/outbox.test.ts",
    "what an object was writing when it died is written by its next life, and once more",
    "src/objects/ledger/outbox.ts",
    'for (const mark of marks) this.#set(tx, mark, "unsettled_until", now + this.#repeatMs);',
    "",
  ),
  "rows that are being written hide others": bug(
    "test/unit/outbox.test.ts",
    "rows that are being written keep no others from it",
    "src/objects/ledger/outbox.ts",
    "writesAtOnce + this.#inFlight.size;",
    "writesAtOnce;",
  ),
  "a row is written once in the life of an object": bug(
    "test/unit/outbox.test.ts",
    "a row that changes while it is written is written again afterwards, and not at the same time",
    "src/objects/ledger/outbox.ts",
    "      for (const mark of marks) this.#inFlight.delete(textOf(mark));\n",
    "",
  ),
  "what could not be claimed is taken to be written": bug(
    "test/unit/outbox.test.ts",
    "a row whose claim was not committed is written by the next one",
    "src/objects/ledger/outbox.ts",
    '    for (const mark of marks) this.#set(tx, mark, "unsettled_until", now + this.#repeatMs);\n',
    `    for (const mark of marks) {
      this.#set(tx, mark, "unsettled_until", now + this.#repeatMs);
      this.#inFlight.add(textOf(mark));
    }\n`,
  ),
  "a batch whose outcome was not recorded is taken to be under way": bug(
    "test/unit/outbox.test.ts",
    "what was written and could not be recorded is written again",
    "src/objects/ledger/outbox.ts",
    "      if (batch !== undefined) this.#batchesUnderWay.delete(batch);\n",
    "",
  ),
  "an isolate gives a manifest that was deleted through it": bug(
    "test/unit/isolate-cache.test.ts",
    "what was deleted here is not remembered again from a replica that lags",
    "src/registry/caches.ts",
    "    if (this.wasDeleted(repository, digest)) return undefined;\n    const mediaType",
    "    const mediaType",
  ),
  "an isolate gives a blob that was deleted through it": bug(
    "test/unit/isolate-cache.test.ts",
    "what was deleted here is not remembered again from a replica that lags",
    "src/registry/caches.ts",
    "    if (this.wasDeleted(repository, digest)) return undefined;\n    return this.#links",
    "    return this.#links",
  ),
  "what was not there to be deleted is given by the replica": bug(
    "test/unit/isolate-cache.test.ts",
    "what was not there to be deleted may have been a moment before, and what could not be deleted is there",
    "src/registry/caches.ts",
    "if (deleted.ok || isAbsence(deleted.error)) this",
    "if (deleted.ok) this",
  ),
  "a blob that was deleted here is given by the replica": bug(
    "test/unit/isolate-cache.test.ts",
    "the replica is not asked about what was deleted here a moment ago",
    "src/registry/blobs.ts",
    "const replicated = cache.wasDeleted(repository, digest)\n      ? undefined\n      : await",
    "const replicated = await",
  ),
  "a manifest that was deleted here is given by the replica": bug(
    "test/unit/isolate-cache.test.ts",
    "the replica is not asked about what was deleted here a moment ago",
    "src/registry/manifests.ts",
    "const replicated = cache.wasDeleted(repository, digest)\n    ? undefined\n    : await",
    "const replicated = await",
  ),
  "referrers of referrers are shown however deep they are": bug(
    "test/unit/ledger-views.test.ts",
    "what refers to a referrer is shown to a depth of three",
    "src/objects/ledger/views.ts",
    "if (depth === maxDepth) return shown;",
    "if (depth === 100) return shown;",
  ),
  "one flush writes more than KV takes": bug(
    "test/unit/outbox.test.ts",
    "one flush writes no more than KV takes of one invocation; the alarm goes on",
    "src/objects/ledger/outbox.ts",
    "if (clock.now() <= deadline && written < mostWrites) continue;",
    "if (clock.now() <= deadline) continue;",
  ),
  "a row that cannot be read holds up the others": bug(
    "test/unit/outbox.test.ts",
    "a row that cannot be read holds up no other, and is tried again",
    "src/objects/ledger/outbox.ts",
    "    const key = keyOf(mark);\n    try {\n      const value = this.readValue(key);",
    "    const key = keyOf(mark);\n    const value = this.readValue(key);\n    try {",
  ),
  "a request waits for ever for a call that another began": bug(
    "test/unit/shared-calls.test.ts",
    "a call that never ends, because its request did, holds nobody up for long",
    "src/registry/shared-calls.ts",
    "if (calls.inFlight !== undefined) await withTimeout(calls.inFlight, timeoutMs, undefined);",
    "if (calls.inFlight !== undefined) await calls.inFlight;",
  ),
  "a batch that was never sent takes all who come later": bug(
    "test/unit/shared-calls.test.ts",
    "a batch whose request ended before it was sent is left by those after",
    "src/registry/shared-calls.ts",
    "if (answers === undefined && calls.waiting === batch) calls.waiting = undefined;",
    "",
  ),
  "a row of another blob is believed": bug(
    "test/unit/replica.test.ts",
    "the row of a blob that is damaged is none, and is written again",
    "src/storage/replica.ts",
    "location.digest === digest && isLocation(location)",
    "isLocation(location)",
  ),
  "a place that is none is believed": bug(
    "test/unit/replica.test.ts",
    "the row of a blob that is damaged is none, and is written again",
    "src/storage/replica.ts",
    "location.digest === digest && isLocation(location)",
    "location.digest === digest",
  ),
  "a pull plan with a place that is none is believed": bug(
    "test/unit/replica.test.ts",
    "so is that of a manifest",
    "src/storage/replica.ts",
    'if (typeof mediaType !== "string" || !plan.every(isLocation))',
    'if (typeof mediaType !== "string")',
  ),
  "a tag's row without a sequence is believed": bug(
    "test/unit/replica.test.ts",
    "so is that of a tag",
    "src/storage/replica.ts",
    "parseDigest(row.digest) !== undefined && Number.isFinite(row.sequence)",
    "parseDigest(row.digest) !== undefined",
  ),
  "a damaged row of the replica is never written again": bug(
    "test/unit/replica.test.ts",
    "the row of a blob that is damaged is none, and is written again",
    "src/storage/replica.ts",
    "      await this.#repair(repository, key).catch(() => {});\n",
    "",
  ),
  "a pull fails when its row cannot be written again": bug(
    "test/unit/replica.test.ts",
    "the row of a blob that is damaged is none, and is written again",
    "src/storage/replica.ts",
    "await this.#repair(repository, key).catch(() => {});",
    "await this.#repair(repository, key);",
  ),
  "a pull fails with KV": bug(
    "test/unit/replica.test.ts",
    "rows that cannot be read are none",
    "src/storage/replica.ts",
    '      log("warn", "replica read failed", { repository, ...key, error: String(error) });\n      return undefined;',
    "      throw error;",
  ),
};
