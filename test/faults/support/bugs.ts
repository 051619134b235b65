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
  "collection ignores that a blob's grace was renewed": {
    file: "src/objects/ledger/unlinking.ts",
    from: "else if (keepUntil > clock.now()) blobs.unlinkFrom(tx, digest, keepUntil);",
    to: "",
  },
  "who tags a manifest that is there uses up what others wait for": {
    file: "src/objects/ledger/manifests.ts",
    from: "if (!isKnown) this.#blobs.pending.fulfil",
    to: "this.#blobs.pending.fulfil",
  },
  "a key that R2 does not have any more is a 404": {
    file: "src/registry/blobs.ts",
    from: "  registry.cache.forgetBlob(repository, digest);\n",
    to: '  if (digest !== undefined) return failure("BLOB_UNKNOWN", { digest });\n',
  },
  "an isolate goes back to an older place of a tag": {
    file: "src/registry/caches.ts",
    from: "if (known !== undefined && known.sequence >= row.sequence) return known;",
    to: "",
  },
};

/** Those that need repositories which are deleted as a whole. */
const ofGenerations: Bugs = {
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

/** Those that need calls which come late, or twice. */
const ofDelays: Bugs = {
  "a ledger's no is believed that was asked for while a lease ran": [
    {
      file: "src/objects/ledger.ts",
      from: "now >= adoption.leaseUntil || leases.isVoid(adoption)",
      to: "now >= adoption.leaseUntil",
    },
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
};

/** Those that need damaged stores. */
const ofDamage: Bugs = {
  "a scrub stops at bytes that cannot be read": {
    file: "src/objects/blob-shard/faults.ts",
    from: "  const isItsOwn = await canReadOthers(bucket, blob.key);",
    to: "  throw error;\n  const isItsOwn = await canReadOthers(bucket, blob.key);",
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
  "rows of the replica are believed unhashed": {
    file: "src/storage/replica.ts",
    from: "digestOfContent(row.bytes, algorithmOf(digest)) === digest ? row : undefined",
    to: "row",
  },
};

/** Those that need policies which change. */
const ofPolicies: Bugs = {
  "an immutable tag is moved by a push": {
    file: "src/objects/ledger/guarded.ts",
    from: "policies.refusePush(put.tags, put.digest) ??",
    to: "policies.refusePush([], put.digest) ??",
  },
  "an immutable tag is deleted by a client": {
    file: "src/objects/ledger/guarded.ts",
    from: "      policies.refuseMove(tag, undefined) ??\n",
    to: "",
  },
  "a repository with an immutable tag is deleted": {
    file: "src/objects/ledger/guarded.ts",
    from: "return policies.refuseEnd() ?? { ok: true, ...end() };",
    to: "return { ok: true, ...end() };",
  },
  "a ledger goes back to an older policy": {
    file: "src/objects/ledger/policies.ts",
    from: "if (sent === undefined || sent.version <= this.applied.version) return;",
    to: "if (sent === undefined || sent.version === this.applied.version) return;",
  },
  "a policy that is undone with its transaction is remembered": {
    file: "src/objects/ledger/policies.ts",
    from: "    this.#known = undefined;\n    this.arm(tx);",
    to: "    this.arm(tx);",
  },
  "nobody tells ledgers of a new document": {
    file: "src/objects/catalog.ts",
    from: "if (stored !== undefined) scheduleArming(tx, this.#due, stored, now);",
    to: "",
  },
  "a tag goes that a line keeps": {
    file: "src/policy/retention.ts",
    from: "if (line < 0) return",
    to: "if (line <= 0) return",
  },
  "a tag goes that somebody holds": {
    file: "src/policy/retention.ts",
    from: "if (state.isHeld === true) return",
    to: "if (state.isHeld === undefined) return",
  },
  "a run removes what nobody has confirmed": {
    file: "src/objects/ledger/retention.ts",
    from: "    if (why !== undefined) {",
    to: "    if (why !== undefined && going.length === 0) {",
  },
  "a run goes by a decision that was made before a push": {
    file: "src/objects/ledger/retention.ts",
    from: "if (this.#decision?.revision === revision.value) return this.#decision;",
    to: "if (this.#decision !== undefined && revision !== undefined) return this.#decision;",
  },
  "what an index lists is removed as untagged": {
    file: "src/objects/ledger/untagged.ts",
    from: "UNION ALL SELECT 1 FROM manifest_references WHERE digest = ?",
    to: "UNION ALL SELECT 1 FROM manifest_references WHERE digest = ? AND false",
  },
  "a tagged manifest is removed as untagged": {
    file: "src/objects/ledger/deleted-manifests.ts",
    from: "if (ttlMs === undefined || this.#features.untagged.isReached(digest)) continue;",
    to: "if (ttlMs === undefined) continue;",
  },
};

/** Those that need upstreams which fail. */
const ofUpstreams: Bugs = {
  "a large blob of an upstream is not verified": {
    file: "src/objects/fetch/stored-blob.ts",
    from: "if (!assembled.ok) return assembled;",
    to: "",
  },
  "what a fetch stored in vain is kept": {
    file: "src/objects/fetch/blob.ts",
    from: "await this.stored.discard().catch(",
    to: "await Promise.resolve().catch(",
  },
  "a tag is never compared with that of the upstream again": {
    file: "src/registry/upstreams/manifests.ts",
    from: "registry.clock.now() - known.checkedAtMs < upstream.tagTtlMs;",
    to: "upstream.tagTtlMs > 0;",
  },
  "a tag is not served while its upstream does not answer": {
    file: "src/objects/fetch/manifests.ts",
    from: "if (known === undefined || upstream === undefined) return failureOf(no, question, absent);",
    to: "if (known !== undefined || upstream === undefined) return failureOf(no, question, absent);",
  },
};

/** Bugs by the kind of faults that they need. */
export const bugs: Record<FaultKind, Bugs> = {
  failures: { ...ofFailures, ...ofGenerations },
  delays: ofDelays,
  damage: ofDamage,
  policies: ofPolicies,
  upstreams: ofUpstreams,
};
