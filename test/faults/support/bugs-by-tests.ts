/** Bugs on purpose that need no random program: a test of this name must fail. */
import type { Replacement } from "./replacing.ts";

/** A bug: the file of the test that finds it, the test's title, and the changes to the sources that bring it. */
export type TestedBug = { file: string; test: string; changes: Replacement[] };

const change = (file: string, from: string, to: string): Replacement => ({ file, from, to });

/** A bug that one change brings. */
function bug(file: string, test: string, changed: string, from: string, to: string): TestedBug {
  return { file, test, changes: [change(changed, from, to)] };
}

const ofLinks: Record<string, TestedBug> = {
  "a deletion that is scheduled late kills what was adopted": {
    file: "test/objects/late-calls.test.ts",
    test: "a doom that comes when its key was adopted takes nothing away that is in use",
    changes: [
      change(
        "src/objects/blob-shard.ts",
        "if (store.isContent(key) || isTombstone(store.scheduledDeletion(key))) return;",
        "",
      ),
      change(
        "src/objects/blob-shard/deletion.ts",
        "if (deletion === undefined || !store.isContent(key)) return deletion;",
        "if (deletion !== undefined) return deletion;",
      ),
    ],
  },
  "a link is made on a lease of which the ledger said no": bug(
    "test/objects/late-calls.test.ts",
    "on a lease of which a ledger said no it links nothing, whatever the time",
    "src/objects/ledger.ts",
    "now >= adoption.leaseUntil || leases.isVoid(adoption)",
    "now >= adoption.leaseUntil",
  ),
  "bytes that nobody holds are given up at once": bug(
    "test/objects/late-calls.test.ts",
    "a tombstone that is doomed again is deleted when it was to be, and not adopted",
    "src/objects/blob-shard/holders.ts",
    "due.set(tx, dropJob, digest, clock.now() + settings.deleteDelayMs);",
    "due.set(tx, dropJob, digest, clock.now() + (settings.deleteDelayMs && 0));",
  ),
  "a manifest is restored without its tags": bug(
    "test/objects/undo.test.ts",
    "a deleted manifest is gone at once, and comes back whole with its tags, within the grace",
    "src/objects/ledger/deleted-manifests.ts",
    "facts, tags: free, origin",
    "facts, tags: free.slice(0, 0), origin",
  ),
  "a deletion forgets who waits for a blob": bug(
    "test/unit/pending-uses.test.ts",
    "a blob is kept for the last of several, when the manifest of one has come",
    "src/objects/ledger/blobs.ts",
    "return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;",
    "return waiting.last + this.#leaseMs - this.waitMs;",
  ),
  "another client's manifest takes a blob from a push that has yet to be answered": bug(
    "test/unit/pending-uses.test.ts",
    "a blob is kept for a lease after the last was told, when all manifests have come",
    "src/objects/ledger/blobs.ts",
    "return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;",
    "return waiting.open.at(-1) ?? 0;",
  ),
  "an adoption that is repeated drops its own key": bug(
    "test/objects/late-calls.test.ts",
    "bytes whose adoption is delivered a second time stay the content of their digest",
    "src/objects/blob-shard.ts",
    "    if (known?.key !== pushed.key) {\n",
    '    if (known?.key === pushed.key) {\n      writeTombstone(tx, this.#parts, pushed, "a duplicate", 0);\n    } else {\n',
  ),
  "a push that is repeated is acknowledged for a blob that was deleted": bug(
    "test/unit/commit-blob.test.ts",
    "a blob that is not in the repository any more is not taken for one that a repeated push has made",
    "src/rpc/commit-blob.ts",
    "  return (await repositoryStub(objects, repository).locateBlob(digest, true)) !== undefined;",
    "  return repositoryStub(objects, repository).locateBlob(digest, true).then(() => true);",
  ),
  "a push is acknowledged for a link however long ago it was made": bug(
    "test/unit/commit-blob.test.ts",
    "a link counts for a push only while its lease runs; later, the blob is adopted and linked again",
    "src/rpc/commit-blob.ts",
    "if (clock.now() < adoption.leaseUntil) return { ok: true };",
    "if (clock.now() > 0) return { ok: true };",
  ),
  "a restored tag takes the place of one that was pushed since": bug(
    "test/unit/generations.test.ts",
    "a tag that was pushed since stays as it is when the repository is restored",
    "src/objects/ledger/restoring.ts",
    "isThere === 0 && isWhole === 1",
    "isThere >= 0 && isWhole === 1",
  ),
  "a delete in KV is not repeated": bug(
    "test/objects/replica.test.ts",
    "what is deleted goes from the replica, and a late write does not bring it back for good",
    "src/objects/ledger/outbox.ts",
    "else if (isDelete) this.#keep(tx, mark, now + this.#repeatMs, now + this.#repeatMs);",
    "",
  ),
  "a release does not touch the version of a hold": bug(
    "test/objects/interleavings.test.ts",
    "a blob that is deleted while its shard hears that it is held goes in the end",
    "src/objects/blob-shard/store.ts",
    "UPDATE holders SET version = version + 1, ask_at = ?",
    "UPDATE holders SET ask_at = ?",
  ),
  "a shard is told that a deleted repository has no blobs": bug(
    "test/objects/generations.test.ts",
    "the bytes of a deleted repository stay for the grace, and go after it with all that is left",
    "src/objects/ledger.ts",
    "[...blobs.held(digests), ...generations.held(digests)]",
    "generations && blobs.held(digests)",
  ),
  "a cancellation takes the bytes of an upload that is finishing": bug(
    "test/objects/late-calls.test.ts",
    "a cancellation leaves the bytes of an upload that were verified, as others may have them by now",
    "src/objects/upload/session.ts",
    'if (state === "finishing" || state === "finished") return;',
    'if (state === "finished") return;',
  ),
  "a key that is a tombstone is adopted": bug(
    "test/objects/late-calls.test.ts",
    "a tombstone that is doomed again is deleted when it was to be, and not adopted",
    "src/objects/blob-shard.ts",
    'if (isTombstone(store.scheduledDeletion(key))) return "tombstoned";',
    "",
  ),
  "a link is made after its lease ended": bug(
    "test/objects/late-calls.test.ts",
    "on a lease that has ended it links nothing, though it has forgotten what it said no to",
    "src/objects/ledger.ts",
    "now >= adoption.leaseUntil || leases.isVoid(adoption)",
    "leases.isVoid(adoption) && now > 0",
  ),
  "a lease after a dropped holder has its number again": bug(
    "test/unit/holders.test.ts",
    "a hold after one that was dropped has a higher number, though the clock went back",
    "src/objects/blob-shard/store.ts",
    "VALUES (?1, ?2, max(1 + coalesce((SELECT version FROM dropped_holders WHERE only = 1), 0), ?3), ?4, ?5)",
    "VALUES (?1, ?2, max(1, ?3), ?4, ?5)",
  ),
  "a ledger of an earlier release is believed that promises nothing": bug(
    "test/unit/holders.test.ts",
    "a ledger of an earlier release, which promises nothing and has none of the digests, is asked again",
    "src/objects/blob-shard/holders.ts",
    'if (!Array.isArray(voided)) throw new TypeError("the ledger is of an earlier release");',
    "",
  ),
  "two leases of a millisecond have one number": bug(
    "test/unit/holders.test.ts",
    "two leases of one millisecond have numbers of their own",
    "src/objects/blob-shard/store.ts",
    "max(version + 1, ?3), drop_after",
    "max(version, ?3), drop_after",
  ),
  "a holder that is dropped late takes the highest number back": bug(
    "test/unit/holders.test.ts",
    "a hold after one that was dropped has a higher number, though the clock went back",
    "src/objects/blob-shard/store.ts",
    "SET version = max(version, excluded.version)",
    "SET version = excluded.version",
  ),
  "a ledger may link until the very moment at which it is asked": bug(
    "test/unit/holders.test.ts",
    "a repository is told that its lease ends before it is asked, as its clock may be another",
    "src/objects/blob-shard/holders.ts",
    "leaseUntil: now + settings.leaseMs * 0.8",
    "leaseUntil: now + settings.leaseMs",
  ),
  "a digest is given up when one of its holders says no": bug(
    "test/unit/holders.test.ts",
    "a digest that others hold is not given up when one says no",
    "src/objects/blob-shard/holders.ts",
    "  if (store.holders(digest, 1).length > 0) return;\n",
    "",
  ),
  "a lease leaves its digest due to be given up": bug(
    "test/unit/holders.test.ts",
    "a digest that is held again is not given up, whatever was due",
    "src/objects/blob-shard/holders.ts",
    "due.clear(tx, dropJob, blob.digest);",
    "",
  ),
  "a digest is given up that is held again": bug(
    "test/unit/holders.test.ts",
    "a digest that is held again is not given up, whatever was due",
    "src/objects/blob-shard/deletion.ts",
    "blob === undefined || store.holders(digest, 1).length > 0",
    "blob === undefined",
  ),
  "a scrub has holders asked that will be asked": bug(
    "test/unit/holders.test.ts",
    "a holder that will be asked anyway is none that a scrub has to have asked",
    "src/objects/blob-shard/holders.ts",
    "holder === undefined || holder.askAt !== null",
    "holder === undefined",
  ),
  "hashes of segments stay when their bytes go": bug(
    "test/unit/segments.test.ts",
    "hashes of segments of another size are not used, and those of deleted bytes are forgotten",
    "src/objects/blob-shard/deletion.ts",
    "  store.forgetBytes(tx, key);\n",
    "",
  ),
  "of two adoptions at once the later one forgets the other": bug(
    "test/objects/late-calls.test.ts",
    "of two pushes of a digest at once, the one that is adopted last takes no bytes away from the other",
    "src/objects/blob-shard.ts",
    "if (this.#candidate(pushed, rejected)?.key !== candidate.key) return undefined;",
    "",
  ),
  "a repeated adoption deletes what is deleted already": bug(
    "test/objects/late-calls.test.ts",
    "an adoption that is delivered again deletes nothing that is deleted already",
    "src/objects/blob-shard.ts",
    "    if (isTombstone(store.scheduledDeletion(pushed.key))) return;\n",
    "",
  ),
  "bytes are adopted that are not there": bug(
    "test/objects/late-calls.test.ts",
    "bytes that are not stored, or not all of them, are not adopted",
    "src/objects/blob-shard.ts",
    'sizeBytes === pushed.sizeBytes ? "good" : "wrong"',
    'sizeBytes !== -1 ? "good" : "wrong"',
  ),
  "bytes that a push replaces go while they are read": bug(
    "test/objects/late-calls.test.ts",
    "bytes that a push replaces, as nobody held them, stay for a while for who still reads them",
    "src/objects/blob-shard.ts",
    'discard("no repository holds it", deleteDelayMs)',
    'discard("no repository holds it", 0)',
  ),
  "bytes are lent that were given up meanwhile": bug(
    "test/objects/late-calls.test.ts",
    "a mount that takes long lends no bytes that were given up meanwhile",
    "src/objects/blob-shard.ts",
    "this.#rejectionOf(known) === undefined ? grantLease",
    "known !== undefined ? grantLease",
  ),
  "bytes are lent that are lost": bug(
    "test/objects/blobs.test.ts",
    "bytes that R2 lost are 503, never 404, and come back with the next push anywhere",
    "src/objects/blob-shard.ts",
    'known === undefined || (await conditionOf(this.#parts, known)) !== "good"',
    "known === undefined",
  ),
  "bytes that are held are replaced by each push": bug(
    "test/objects/late-calls.test.ts",
    "of two pushes of a digest at once, the one that is adopted last takes no bytes away from the other",
    "src/objects/blob-shard.ts",
    "(isHeld ? [known, pushed] : [pushed, known])",
    "(isHeld ? [pushed, known] : [pushed, known])",
  ),
  "a session that was cancelled is linked all the same": bug(
    "test/unit/closed-sessions.test.ts",
    "a session that is cancelled takes no digest",
    "src/objects/ledger/sessions.ts",
    'if (before.state === "cancelled") return digest === null;',
    'if (before.state === "cancelled") return true;',
  ),
  "a finished session takes another digest": bug(
    "test/unit/closed-sessions.test.ts",
    "a session that is finished takes the repetition of that, and neither another digest nor a cancellation",
    "src/objects/ledger/sessions.ts",
    "return before.digest === digest;",
    "return true;",
  ),
};

const ofNames: Record<string, TestedBug> = {
  "a ledger is founded on a registration that it knows": bug(
    "test/unit/registration.test.ts",
    "a ledger is founded on a registration that was made for the write, and on none that is old or known",
    "src/objects/ledger/registration.ts",
    "return registration > last && registration > this.#host.clock.now() - validMs;",
    "return registration > this.#host.clock.now() - validMs;",
  ),
  "a ledger is founded on a registration that is old": bug(
    "test/unit/registration.test.ts",
    "a ledger is founded on a registration that was made for the write, and on none that is old or known",
    "src/objects/ledger/registration.ts",
    "return registration > last && registration > this.#host.clock.now() - validMs;",
    "return registration > last;",
  ),
  "an object goes while a write on its registration may come": bug(
    "test/unit/registration.test.ts",
    "a name leaves the index under its last number, once no write on an earlier registration can come",
    "src/objects/ledger/registration.ts",
    "if (clock.now() < registration + keptMs) {",
    "if (clock.now() < registration) {",
  ),
  "an object goes that was founded while the index was told": bug(
    "test/unit/registration.test.ts",
    "the object is kept while the index does not answer, or if the ledger is founded meanwhile",
    "src/objects/ledger/registration.ts",
    "return this.#repository.meta?.registration === registration;",
    "return true;",
  ),
  "a removal takes a later registration": bug(
    "test/unit/name-index.test.ts",
    "a removal leaves a later registration",
    "src/objects/name-index/store.ts",
    'if ((this.#registration(name) ?? 0) > registration) return;\n    tx.write("DELETE FROM names',
    'tx.write("DELETE FROM names',
  ),
  "a repository is hidden that was made public since": bug(
    "test/unit/name-index.test.ts",
    "a name may be public once it was registered or added as that, until it is hidden under its last number",
    "src/objects/name-index/store.ts",
    'if ((this.#registration(name) ?? 0) > registration) return;\n    tx.write("DELETE FROM public_names',
    'tx.write("DELETE FROM public_names',
  ),
  "a registration has the number of an earlier one": bug(
    "test/unit/name-index.test.ts",
    "each registration has a higher number than the one before, and at least the clock's",
    "src/objects/name-index/store.ts",
    "max(last + 1, ?)",
    "max(last, ?)",
  ),
};

const ofAlarms: Record<string, TestedBug> = {
  "a reader that stops early leaves its statement open": bug(
    "test/unit/sql.test.ts",
    "a reader that stops at the first row leaves no statement open",
    "src/objects/sql.ts",
    "while (rows.next().done !== true);",
    "",
  ),
  "an alarm that is repeated sets none before it works": bug(
    "test/unit/due.test.ts",
    "an alarm that is repeated, as the object died in it, sets the next one before it works",
    "src/objects/due.ts",
    "if (invocation?.isRetry === true) await this.#armForNextTry();",
    "",
  ),
  "rows that a job left are due at once": bug(
    "test/unit/due.test.ts",
    "rows that a job leaves as they are come again later, and those that it made due anew when they are",
    "src/objects/due.ts",
    "        this.#postpone(kind, found);\n",
    "        break;\n",
  ),
  "a job that never ends holds up all others": bug(
    "test/unit/due.test.ts",
    "a job that never ends holds up no other, and is run again only once it has ended",
    "src/objects/due.ts",
    "await answerWithin(mostMs, running);",
    "await answerWithin(mostMs * 1000, running);",
  ),
  "a job that took too long is run a second time meanwhile": bug(
    "test/unit/due.test.ts",
    "a job that never ends holds up no other, and is run again only once it has ended",
    "src/objects/due.ts",
    "if (!this.#overdue.has(kind)) await",
    "await",
  ),
  "an object that could not find out which alarm is set never sets one": bug(
    "test/unit/due.test.ts",
    "an object that cannot find out which alarm is set sets one as usual",
    "src/objects/due.ts",
    "    } finally {\n      this.#isWaking = false;\n    }\n    this.#armIfThere();",
    "      this.#isWaking = false;\n    } finally {\n      this.#armedAt ??= undefined;\n    }\n    this.#armIfThere();",
  ),
  "an alarm is set for each change while an alarm runs": bug(
    "test/unit/due.test.ts",
    "an alarm that runs sets the next one once, when it ends",
    "src/objects/due.ts",
    "if (this.#isWaking || this.#alarmRuns > 0) return;",
    "if (this.#isWaking) return;",
  ),
  "an alarm that failed keeps all others from being set": bug(
    "test/unit/due.test.ts",
    "an alarm that cannot set the next one fails, and keeps neither another run nor other alarms from it",
    "src/objects/due.ts",
    "    } finally {\n      this.#alarmRuns--;\n    }",
    "      this.#alarmRuns--;\n    } finally {\n      this.#armedAt ??= undefined;\n    }",
  ),
  "a run that failed fails all after it": bug(
    "test/unit/due.test.ts",
    "an alarm that cannot set the next one fails, and keeps neither another run nor other alarms from it",
    "src/objects/due.ts",
    "this.#running = running.catch(() => {});",
    "this.#running = running;",
  ),
  "a job works on whatever its budget": bug(
    "test/unit/due.test.ts",
    "a job works for its budget, and the rest of its rows waits until others had their turn",
    "src/objects/due.ts",
    "while (this.#clock.now() <= deadline && leftMs() > 0)",
    "while (leftMs() > 0 && deadline > 0)",
  ),
  "a run that is asked for works on when its time is over": bug(
    "test/unit/due.test.ts",
    "a run that is asked for begins nothing once its time is over",
    "src/objects/due.ts",
    "while (this.#clock.now() <= deadline && leftMs() > 0)",
    "while (this.#clock.now() <= deadline)",
  ),
  "an object that wakes sets no alarm": bug(
    "test/unit/due.test.ts",
    "what a request makes due before it is known which alarm is set is not forgotten",
    "src/objects/due.ts",
    "      this.#isWaking = false;\n    }\n    this.#armIfThere();",
    "      this.#isWaking = false;\n    }",
  ),
};

const ofReplica: Record<string, TestedBug> = {
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
};

const ofUploads: Record<string, TestedBug> = {
  "an upload that was given up deletes its bytes once": bug(
    "test/objects/late-calls.test.ts",
    "an upload that was given up leaves nothing, though its closing put lands afterwards",
    "src/objects/upload/session.ts",
    "    await deleteGivenUp(this.#row, this.#host.bucket);\n    this.#host.change((tx) => this.#store.delete(tx));",
    "    this.#host.change((tx) => this.#store.delete(tx));",
  ),
  "bytes are not deleted once more with their tombstone": bug(
    "test/unit/holders.test.ts",
    "bytes are deleted once more when their tombstone is forgotten, as a write may have landed since",
    "src/objects/blob-shard/deletion.ts",
    "if (keys.length > 0) await bucket.delete(keys);",
    "if (keys.length < 0) await bucket.delete(keys);",
  ),
  "a collection ends uploads that are in progress": bug(
    "test/unit/holders.test.ts",
    "a collection without grace ends uploads that an earlier process of one machine left, and no others",
    "src/objects/blob-shard/deletion.ts",
    "since + settings.uploadTtlMs - 1",
    "since + settings.uploadTtlMs",
  ),
  "a collection ends uploads to R2": bug(
    "test/unit/holders.test.ts",
    "a collection without grace ends uploads that an earlier process of one machine left, and no others",
    "src/objects/blob-shard/deletion.ts",
    "env.BLOB_FSYNC === undefined ? 0 : due",
    "env.BLOB_FSYNC === null ? 0 : due",
  ),
  "buffers are given without a bound": bug(
    "test/unit/part-buffers.test.ts",
    "all buffers together are bounded, but for a larger budget, and for an upload alone",
    "src/objects/upload/part-buffers.ts",
    "bytesInUse > 0 && bytesInUse + sizeBytes > most",
    "bytesInUse > 0 && bytesInUse + sizeBytes > 2 * most",
  ),
  "a second buffer is taken beyond the budget": bug(
    "test/unit/part-buffers.test.ts",
    "a second buffer is there only while the budget has room",
    "src/objects/upload/part-buffers.ts",
    "return bytesInUse + sizeBytes <= budgetBytes ? take(sizeBytes) : undefined;",
    "return budgetBytes > 0 ? take(sizeBytes) : undefined;",
  ),
  "an upload that has begun is refused for want of memory": bug(
    "test/unit/part-buffers.test.ts",
    "an upload that has begun waits for others to end, for a minute",
    "src/objects/upload/part-buffers.ts",
    "if (wait === undefined || waits === mostWaits) return undefined;",
    "if (wait === undefined || waits === 0) return undefined;",
  ),
  "an upload that is used lives longer than R2 keeps its parts": bug(
    "test/objects/upload.test.ts",
    "an upload that is used all the time ends before its parts are given up by R2",
    "src/objects/upload/lifetime.ts",
    "return now >= opensUntil(store);",
    "return now < 0 && now >= opensUntil(store);",
  ),
  "an upload that is used ends with its first time": bug(
    "test/objects/upload.test.ts",
    "an upload that is used lives on",
    "src/objects/upload/session.ts",
    "if (dueAt !== undefined) this.#host.change((tx) => this.#store.setDue(tx, dueAt));",
    "",
  ),
  "a hash of more than was kept is taken for that of the blob": bug(
    "test/objects/upload.test.ts",
    "a writer that stalls gives way to one that goes on where the upload stands",
    "src/objects/upload/assemble.ts",
    "hash?.covers(offset) && hash.isOf(",
    "hash?.isOf(",
  ),
  "a writer that stalls keeps out its own client": bug(
    "test/objects/upload.test.ts",
    "a writer that stalls gives way to one that goes on where the upload stands",
    "src/objects/upload/session.ts",
    "const isNext = this.#store.exists() && offset === this.#row.offset;",
    "const isNext = false && offset === this.#row.offset;",
  ),
};

const ofPolicies: Record<string, TestedBug> = {
  "an immutable tag that expired is made with another digest": bug(
    "test/unit/retention-runs.test.ts",
    "an immutable tag that expired is made again only with its digest",
    "src/objects/ledger/retention.ts",
    "policies.rememberExpired(tx, tag, digest);",
    "",
  ),
  "an immutable tag is restored to something else": bug(
    "test/api/policies.test.ts",
    "a tag that became immutable is not restored to what it was before",
    "src/objects/ledger/deleted-manifests.ts",
    "const refused = policies.refuseMove(tag, digest);",
    "const refused = policies.refuseMove(tag, digest) && undefined;",
  ),
  "what an immutable tag's index lists is deleted": bug(
    "test/api/policies.test.ts",
    "an immutable tag is made once, and nothing that it leads to is deleted",
    "src/objects/ledger/policies.ts",
    "UNION SELECT manifest FROM manifest_references JOIN leading USING (digest)",
    "UNION SELECT manifest FROM manifest_references JOIN leading USING (digest) WHERE false",
  ),
  "what an immutable tag leads to is deleted": bug(
    "test/api/policies.test.ts",
    "an immutable tag is made once, and nothing that it leads to is deleted",
    "src/objects/ledger/guarded.ts",
    "return policies.refuseDeletion(digest) ?? deleted.remove",
    "return deleted.remove",
  ),
  "the run that was confirmed goes by other rules": bug(
    "test/unit/retention-runs.test.ts",
    "and is not confirmed by who saw what other rules would remove",
    "src/objects/ledger/retention-runs.ts",
    "(waiting.rules ?? rules) === rules",
    "rules.length > 0",
  ),
  "a repository is restored with what an immutable tag never was": bug(
    "test/unit/retention-runs.test.ts",
    "and not with another one when a repository is restored that was deleted before",
    "src/objects/ledger/restoring.ts",
    ".filter(({ tag, digest }) => policies.refuseMove(tag, digest) === undefined)",
    ".filter(({ tag }) => policies !== undefined && tag !== undefined)",
  ),
  "a run goes on by rules that were put meanwhile": bug(
    "test/unit/retention-runs.test.ts",
    "a rule that is put while a run is under way has to be confirmed by itself",
    "src/objects/ledger/retention-runs.ts",
    'const query = "SELECT 1 FROM retention_runs WHERE ended_at IS NULL AND rules = ?";',
    'const query = "SELECT 1 FROM retention_runs WHERE ended_at IS NULL OR rules = ?";',
  ),
  "a run that removes more than usual does not wait": bug(
    "test/unit/retention-runs.test.ts",
    "if it would remove more than three times the most of the last runs",
    "src/objects/ledger/retention.ts",
    "most !== undefined && removes > Math.max(fewTags, 3 * most)",
    "most !== undefined && removes < 0",
  ),
  "the use of a listed image keeps no index": bug(
    "test/unit/retention-runs.test.ts",
    "a tag whose manifest was used, by its digest or through an index",
    "src/objects/ledger/tag-states.ts",
    "(SELECT max(child.used_day) FROM",
    "(SELECT max(child.used_day) * 0 FROM",
  ),
  "a cached repository is under rules": bug(
    "test/unit/cached-policies.test.ts",
    "a cached repository is under no rule: its upstream decides",
    "src/objects/ledger/policies.ts",
    "return this.#isCache() ? noPolicy : policy;",
    "return policy;",
  ),
};

const ofUpstreams: Record<string, TestedBug> = {
  "the rest is appended to the wrong place after a reset": bug(
    "test/upstreams/hostile.test.ts",
    "a reset in the middle, by an upstream that has no ranges",
    "src/objects/fetch/pieces.ts",
    "return whole && { ...whole, skip: offset };",
    "return whole && { ...whole, skip: 0 * offset };",
  ),
  "each client fetches for itself": {
    file: "test/upstreams/fetches.test.ts",
    test: "clients that come while a fetch begins wait for that one",
    changes: [
      change(
        "src/objects/fetch.ts",
        "(this.#questions.get(id) as Promise<T> | undefined) ?? ask();",
        "ask();",
      ),
      change(
        "src/objects/fetch.ts",
        "          this.#fetches.get(id) ??\n          this.#start(",
        "          this.#start(",
      ),
    ],
  },
  "bytes are read from the key that adoption did not take": bug(
    "test/unit/commit-blob.test.ts",
    "what was fetched is read from the key that the shard has for its digest",
    "src/rpc/commit-blob.ts",
    "    location = adopted;",
    "    location = { ...adopted, key };",
  ),
  "a key is written for a fetch whose deletion is not scheduled": bug(
    "test/upstreams/fetches.test.ts",
    "the shard of a digest knows of the bytes that are fetched for it before they are stored",
    "src/objects/fetch/stored-blob.ts",
    "await scheduleDeletion(env, digest, key, now + settings.uploadTtlMs);",
    "",
  ),
  "a fetch that its object forgot is never resumed": bug(
    "test/upstreams/fetches.test.ts",
    "or by its alarm",
    "src/objects/fetch.ts",
    "if (question !== undefined && !this.#fetches.has(id)) this.#start(id, question);",
    "",
  ),
  "a manifest of an upstream is not verified": {
    file: "test/upstreams/hostile.test.ts",
    test: "by its digest, of other bytes",
    changes: [
      change(
        "src/client/repository.ts",
        "if (named === undefined || named === digest) return { digest, mediaType, bytes };",
        "if (digest !== undefined) return { digest: named ?? digest, mediaType, bytes };",
      ),
      change(
        "src/objects/fetch/manifests.ts",
        "if (digestOfContent(bytes, algorithmOf(digest)) !== digest)",
        "if (digestOfContent(bytes, algorithmOf(digest)) === undefined)",
      ),
    ],
  },
  "a small blob of an upstream is not verified": bug(
    "test/upstreams/hostile.test.ts",
    "of another digest",
    "src/objects/fetch/stored-blob.ts",
    "const written = await bucket.write(key, rest.slice(), digest);",
    `const { createHash } = await import("node:crypto");
      const own = \`sha256:\${createHash("sha256").update(rest).digest("hex")}\` as typeof digest;
      const written = await bucket.write(key, rest.slice(), own);`,
  ),
  "the last bytes of a fetch are let go before they are verified": bug(
    "test/upstreams/hostile.test.ts",
    "of too few bytes, in chunks",
    "src/objects/fetch/blob.ts",
    "const heldBackBytes = 64 * kibibyte;",
    "const heldBackBytes = 0;",
  ),
  "an answer about a tag undoes what was done meanwhile": bug(
    "test/upstreams/freshness.test.ts",
    "a tag that was deleted by hand during a question is not brought back by its answer",
    "src/objects/ledger/cached-ledger.ts",
    'if (!cache.isUnchanged(put.since)) return "changed";',
    "",
  ),
  "a repository that was deleted comes back by an answer": bug(
    "test/upstreams/freshness.test.ts",
    "a repository that was deleted during a question does not come back by its answer",
    "src/objects/ledger/cache.ts",
    "if (born !== undefined && born !== state.born) return false;",
    "",
  ),
  "an upstream that claims every digest gets what was pushed here": bug(
    "test/upstreams/fetches.test.ts",
    "what was pushed here is fetched, whatever the upstream says of its digest",
    "src/objects/fetch/link.ts",
    'if (info.kind !== "cache") return info.visibility === "public";',
    'if (info.kind !== "cache") return true;',
  ),
  "a place that nobody keeps is never free again": bug(
    "test/unit/upstream-health.test.ts",
    "places are leased: one that is not heard of is free again",
    "src/objects/upstream/places.ts",
    "for (const [each, until] of this.#until) if (until <= now) this.#until.delete(each);",
    "",
  ),
  "all that is absent upstream is remembered": bug(
    "test/unit/upstream-health.test.ts",
    "not more than ten thousand references are remembered",
    "src/objects/upstream/health.ts",
    "if (this.#absent.size <= maxAbsent && forgottenAt",
    "if (forgottenAt",
  ),
  "an upstream that fails is asked all the same": bug(
    "test/unit/upstream-health.test.ts",
    "an upstream is left alone after three failures in a row, for longer with each",
    "src/objects/upstream/health.ts",
    "if (this.#downUntilMs > now) return",
    "if (this.#downUntilMs < 0) return",
  ),
  "a scrub takes what was pulled in part for broken": bug(
    "test/upstreams/administration.test.ts",
    "a scrub finds nothing wrong with what was pulled in part, and a deleted manifest of it is restored",
    "src/objects/ledger/scrub.ts",
    "this.#host.isSparse() ? [] : manifests.missing(references)",
    'this.#host.settings.sparseManifests === "accept" ? [] : manifests.missing(references)',
  ),
};

/** All of them, by what they come to. */
export const bugsByTests: Record<string, TestedBug> = {
  ...ofLinks,
  ...ofNames,
  ...ofAlarms,
  ...ofReplica,
  ...ofUploads,
  ...ofPolicies,
  ...ofUpstreams,
};
