/** Bugs on purpose, each against a promise of docs/design.md, that random programs must find. */
import type { FaultKind } from "./generate.ts";
import type { Replacement } from "./replacing.ts";

/** What each comes to, and the changes to the sources that bring it. */
type Bugs = Record<string, Replacement | Replacement[]>;

/** Those that need calls which fail. */
const ofFailures: Bugs = {
  "KV decides that a manifest does not exist": {
    file: "src/registry/manifests.ts",
    from: "? await readFromLedger(registry, repository, digest)",
    to: '? failure("MANIFEST_UNKNOWN", { digest })',
  },
  "a ledger is founded whose name is not registered": {
    file: "src/rpc/founding.ts",
    from: "answer = await write(await nameIndexStub(objects, repository).register(repository, false));",
    to: "answer = await write(Date.now() + attempt);",
  },
  "a name whose index is out of reach is a 404": {
    file: "src/registry/ledgers.ts",
    from: "  const has = await nameIndexStub(objects, name).has(name);",
    to: "  const has = await nameIndexStub(objects, name).has(name).catch(() => false);",
  },
  "an isolate remembers that a name is not registered": {
    file: "src/registry/ledgers.ts",
    from: "  const has = await nameIndexStub(objects, name).has(name);",
    to: `  const known = registered as unknown as Record<string, boolean>;
  const has = known[name] ?? (known[name] = (await nameIndexStub(objects, name).has(name)) === true);`,
  },
  "the outbox drops a write that failed": {
    file: "src/objects/ledger/outbox.ts",
    from: "if (!isKnown) this.#keep(tx, mark, now + retryMs, mark.batch.until);",
    to: 'if (!isKnown) tx.write("DELETE FROM outbox WHERE kind = ? AND id = ?", mark.kind, mark.id);',
  },
  "a write to KV that lands after a delete is never taken back": [
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
  "collection ignores that a blob's grace was renewed": {
    file: "src/objects/ledger/unlinking.ts",
    from: "else if (keepUntil > clock.now()) blobs.unlinkFrom(tx, digest, keepUntil);",
    to: "",
  },
  "a deletion forgets who waits for a blob": {
    file: "src/objects/ledger/blobs.ts",
    from: "return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;",
    to: "return waiting.last + this.#leaseMs - this.waitMs;",
  },
  "who tags a manifest that is there uses up what others wait for": {
    file: "src/objects/ledger/manifests.ts",
    from: "if (!isKnown) this.#blobs.pending.fulfil",
    to: "this.#blobs.pending.fulfil",
  },
  "an adoption that is repeated drops its own key": {
    file: "src/objects/blob-shard.ts",
    from: "    if (known?.key !== pushed.key) {\n",
    to: '    if (known?.key === pushed.key) {\n      writeTombstone(tx, this.#parts, pushed, "a duplicate", 0);\n    } else {\n',
  },
  "a key that R2 does not have any more is a 404": {
    file: "src/registry/blobs.ts",
    from: "  registry.cache.forgetBlob(repository, digest);\n",
    to: '  if (digest !== undefined) return failure("BLOB_UNKNOWN", { digest });\n',
  },
  "a look-up of a tag joins one that began before it": {
    file: "src/registry/shared-calls.ts",
    from: `    if (calls.waiting === batch) calls.waiting = undefined;
    const items = [...batch.items];
    const answered = call(items);
`,
    to: `    const items = [...batch.items];
    const answered = call(items).finally(() => {
      if (calls.waiting === batch) calls.waiting = undefined;
    });
`,
  },
  "an isolate goes back to an older place of a tag": {
    file: "src/registry/caches.ts",
    from: "if (known !== undefined && known.sequence >= row.sequence) return known;",
    to: "",
  },
};

/** Those that need repositories which are deleted as a whole. */
const ofGenerations: Bugs = {
  "a shard is told that a deleted repository has no blobs": {
    file: "src/objects/ledger.ts",
    from: "[...blobs.held(digests), ...generations.held(digests)]",
    to: "generations && blobs.held(digests)",
  },
  "a restored tag takes the place of one that was pushed since": [
    {
      file: "src/objects/ledger/restoring.ts",
      from: "isThere === 0 && isWhole === 1",
      to: "isThere >= 0 && isWhole === 1",
    },
  ],
  "the replica keeps what a deleted repository had": {
    file: "src/objects/ledger/generations.ts",
    from: 'for (const { kind } of replicatedKinds) this.#markPage(tx, number, kind, "");',
    to: "",
  },
  "shards are not told that a deleted repository is gone for good": {
    file: "src/objects/ledger/generations.ts",
    from: "unlinking.releaseLater(tx, given);",
    to: "unlinking.releaseLater(tx, []);",
  },
  "a manifest is restored without its blobs": [
    {
      file: "src/objects/ledger/restoring.ts",
      from: 'copy(tx, "blobs", number, isNamed, json);',
      to: "",
    },
    {
      file: "src/objects/ledger/restoring.ts",
      from: "return this.#restoreBlobs(tx, last, generation);",
      to: "return undefined;",
    },
  ],
};

/** A ledger's "no" is no promise any more. */
const linksOnVoidLeases: Replacement = {
  file: "src/objects/ledger.ts",
  from: "now >= adoption.leaseUntil || leases.isVoid(adoption)",
  to: "now >= adoption.leaseUntil",
};

/** Those that need calls which come late, or twice. */
const ofDelays: Bugs = {
  "a ledger's no is believed that was asked for while a lease ran": [
    linksOnVoidLeases,
    {
      file: "src/objects/blob-shard/holders.ts",
      from: "Math.max(clock.now(), holder.leasedUntil)",
      to: "clock.now()",
    },
    {
      file: "src/objects/blob-shard/holders.ts",
      from: "if (holder.leasedUntil <= clock.now()) return",
      to: "return",
    },
  ],
  "a link is made on a lease of which the ledger said no": linksOnVoidLeases,
  "a deletion that is scheduled late kills what was adopted": [
    {
      file: "src/objects/blob-shard.ts",
      from: "if (store.isContent(key) || isTombstone(store.scheduledDeletion(key))) return;",
      to: "",
    },
    {
      file: "src/objects/blob-shard/deletion.ts",
      from: "if (deletion === undefined || !store.isContent(key)) return deletion;",
      to: "if (deletion !== undefined) return deletion;",
    },
  ],
  "an upload that was given up deletes its bytes once": {
    file: "src/objects/upload/session.ts",
    from: "    await deleteGivenUp(this.#row, this.#host.bucket);\n    this.#host.change((tx) => this.#store.delete(tx));",
    to: "    this.#host.change((tx) => this.#store.delete(tx));",
  },
  "bytes that nobody holds are given up at once": {
    file: "src/objects/blob-shard/holders.ts",
    from: "due.set(tx, dropJob, digest, clock.now() + settings.deleteDelayMs);",
    to: "due.set(tx, dropJob, digest, clock.now() + (settings.deleteDelayMs && 0));",
  },
  "another client's manifest takes a blob from a push that has yet to be answered": {
    file: "src/objects/ledger/blobs.ts",
    from: "return waiting.open.at(-1) ?? waiting.last + this.#leaseMs - this.waitMs;",
    to: "return waiting.open.at(-1) ?? 0;",
  },
  "a push is acknowledged for a link however long ago it was made": {
    file: "src/rpc/commit-blob.ts",
    from: "if (clock.now() < adoption.leaseUntil) return { ok: true };",
    to: "if (clock.now() > 0) return { ok: true };",
  },
  "a push that is repeated is acknowledged for a blob that was deleted": {
    file: "src/rpc/commit-blob.ts",
    from: "  return (await repositoryStub(objects, repository).locateBlob(digest, true)) !== undefined;",
    to: "  return repositoryStub(objects, repository).locateBlob(digest, true).then(() => true);",
  },
};

/** Those that need damaged stores. */
const ofDamage: Bugs = {
  "a scrub stops at bytes that cannot be read": {
    file: "src/objects/blob-shard/faults.ts",
    from: "    return noteUnreadable(shard, blob, error);",
    to: "    throw error;",
  },
  "what is damaged takes the place of what is pushed": [
    {
      file: "src/objects/blob-shard/faults.ts",
      from: "  if (known !== undefined) return known;",
      to: "",
    },
    {
      file: "src/objects/blob-shard.ts",
      from: "store.blob(digest)?.key === key ? store.fault(digest) : undefined",
      to: "undefined",
    },
  ],
  "small blobs are kept unhashed": {
    file: "src/registry/blobs.ts",
    from: "digestOfContent(bytes, algorithmOf(location.digest)) === location.digest ? bytes : undefined",
    to: "bytes",
  },
  "rows of the replica are believed unhashed": {
    file: "src/storage/replica.ts",
    from: "digestOfContent(row.bytes, algorithmOf(digest)) === digest ? row : undefined",
    to: "row",
  },
};

/** Bugs by the kind of faults that they need. */
export const bugs: Record<FaultKind, Bugs> = {
  failures: { ...ofFailures, ...ofGenerations },
  delays: ofDelays,
  damage: ofDamage,
};
