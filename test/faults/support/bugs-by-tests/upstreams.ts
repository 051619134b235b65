/** Bugs of upstreams and of what is cached of them. */
import { bug, change, type TestedBug } from "./tested-bug.ts";

export const ofUpstreams: Record<string, TestedBug> = {
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
  "what was pushed here is changed by an upstream": bug(
    "test/unit/cached-ledger.test.ts",
    "what was pushed here takes nothing from an upstream, and gives nothing up",
    "src/objects/ledger/cache.ts",
    "if (state.isOrdinary) return false;",
    "",
  ),
  "what was pushed here is evicted": bug(
    "test/unit/cached-ledger.test.ts",
    "what was pushed here takes nothing from an upstream, and gives nothing up",
    "src/objects/ledger/cached-ledger.ts",
    'if (!this.exists || this.meta?.kind !== "cache") return { manifests: 0',
    "if (!this.exists) return { manifests: 0",
  ),
  "a blob is linked that was fetched for a repository before": bug(
    "test/unit/cached-ledger.test.ts",
    "what was fetched for a repository that was deleted meanwhile is not linked in the next one",
    "src/objects/ledger.ts",
    'if (born !== undefined && !cache.isUnchanged({ born })) return "changed";',
    "",
  ),
  "an index is evicted whose image is used": bug(
    "test/unit/cached-ledger.test.ts",
    "an index stays while an image of it is used, and a blob while an image that has it does",
    "src/objects/ledger/cache.ts",
    "WHERE manifest_references.manifest = old.digest AND",
    "WHERE manifest_references.manifest = old.digest AND false AND",
  ),
  "a blob is evicted that another image has": bug(
    "test/unit/cached-ledger.test.ts",
    "an index stays while an image of it is used, and a blob while an image that has it does",
    "src/objects/ledger/cache.ts",
    "blobs.held(referenced).filter((each) => !blobs.isNamed(each))",
    "blobs.held(referenced)",
  ),
  "a tag that was moved during a question is deleted by its answer": bug(
    "test/unit/cached-ledger.test.ts",
    "a tag that was moved during a question is not deleted by its answer",
    "src/objects/ledger/cached-ledger.ts",
    "if (!this.exists || !this.parts.cache.isUnchanged(since)) return",
    "if (!this.exists) return",
  ),
  "a full repository takes what an upstream answers": bug(
    "test/unit/cached-ledger.test.ts",
    "a cached repository that is full takes no manifest",
    "src/objects/ledger/cached-ledger.ts",
    'if (isFull(this.parts)) return "full";',
    "",
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
