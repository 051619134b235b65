/**
 * A ledger's part of a scrub. It checks the bytes and references of manifests, links against the shards, and all rows
 * in KV. Rows that are in the outbox may be stale in KV; other wrong rows are rewritten.
 */

import { readManifest, readStoredManifest } from "../../oci/manifest.ts";
import type { Reference } from "../../oci/manifest-fields.ts";
import {
  algorithmOf,
  type Digest,
  digestOfContent,
  type RepositoryName,
  type Tag,
} from "../../oci/reference.ts";
import { adoptBytes } from "../../rpc/founding.ts";
import { emptyReport, type ScrubReport, type ScrubStep, scrubJob } from "../../rpc/scrub-report.ts";
import { shardStub } from "../../rpc/stubs.ts";
import { openBucket } from "../../storage/open-bucket.ts";
import type { BlobLocation, ReplicaKey } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import { runScrub } from "../scrub/schedule.ts";
import { faultOf } from "../scrub/verify.ts";
import { transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Manifests } from "./manifests.ts";
import type { Outbox } from "./outbox.ts";
import type { Registration } from "./registration.ts";
import type { Tags } from "./tags.ts";

const batchRows = 50;

/** A phase of a scrub, and the digest or tag that was last checked in it; `""`: none. */
type Place = { kind: "tag"; last: Tag | "" } | { kind: "manifest" | "blob"; last: Digest | "" };

const phases = ["manifest", "tag", "blob"] as const;

/** The features that are scrubbed. */
type Features = {
  manifests: Manifests;
  tags: Tags;
  blobs: Blobs;
  outbox: Outbox;
  registration: Registration;
};

/** The scrub of one ledger. */
export class LedgerScrub implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [scrubJob]: {
      atDeletion: "cleared",
      run: (rows: DueRow[]) => runScrub(this.#host, rows, (after) => this.step(after)),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #features: Features;

  constructor(host: LedgerHost, features: Features) {
    this.#host = host;
    this.#features = features;
  }

  /** Checks a batch. `after`: the kind and the digest or tag that was last checked; `""`: none. */
  async step(after: string): Promise<ScrubStep> {
    const { due, name } = this.#host;
    const report = emptyReport();
    if (after === "") await this.#checkName(report);
    const [phase = "", last = ""] = after.split(" ");
    const kind = phases.find((each) => each === phase) ?? phases[0];
    const keys = this.#keysAfter({ kind, last } as Place);
    for (const key of keys) {
      try {
        await this.#check(key, report);
      } catch (error) {
        const { kind: what, ...which } = key;
        report.unchecked.push({ what, repository: name(), ...which, detail: String(error) });
      }
    }
    await this.#features.outbox.flush(name());
    due.arm();
    const lastKey = keys.at(-1);
    const following = phases[phases.indexOf(kind) + 1];
    if (lastKey === undefined || keys.length < batchRows)
      return { report, next: following && `${following} ` };
    return { report, next: `${kind} ${lastKey.kind === "tag" ? lastKey.tag : lastKey.digest}` };
  }

  /** The index of names must have the repository: otherwise nobody would find it. */
  async #checkName(report: ScrubReport): Promise<void> {
    const finding = { what: "name", repository: this.#host.name() };
    try {
      const isRestored = await this.#features.registration.restore();
      if (isRestored) report.repaired.push({ ...finding, detail: "the index did not have it" });
    } catch (error) {
      report.unchecked.push({ ...finding, detail: String(error) });
    }
  }

  #keysAfter({ kind, last }: Place): ReplicaKey[] {
    const { manifests, tags, blobs } = this.#features;
    if (kind === "tag") return tags.page(last, batchRows).entries.map((tag) => ({ kind, tag }));
    const digests =
      kind === "blob"
        ? blobs.page(last, batchRows)
        : manifests.page(last, batchRows).map(({ digest }) => digest);
    return digests.map((digest) => ({ kind, digest }));
  }

  /** Checks a manifest, tag or link, and its row in KV. */
  async #check(key: ReplicaKey, report: ScrubReport): Promise<void> {
    if (key.kind === "manifest") this.#checkManifest(key.digest, report);
    else if (key.kind === "tag") this.#checkTag(key.tag, report);
    else await this.#checkLink(key.digest, report);
    await this.#checkReplica(key, report);
  }

  #checkManifest(digest: Digest, report: ScrubReport): void {
    const { manifests } = this.#features;
    const row = manifests.read(digest);
    if (row === undefined) return;
    report.checked.manifests++;
    const finding = { repository: this.#host.name(), digest };
    if (digestOfContent(row.bytes, algorithmOf(digest)) !== digest) {
      report.problems.push({ ...finding, what: "manifest bytes", detail: "they have another digest" });
      return;
    }
    const missingOf = (references: Reference[]) =>
      this.#host.isSparse() ? [] : manifests.missing(references);
    const missing = missingOf(readStoredManifest(row.bytes, row.mediaType).references);
    for (const each of missing) {
      report.problems.push({ ...finding, what: "reference", detail: `the repository does not have ${each}` });
    }
    const reading = readManifest(row.bytes, row.mediaType);
    const required = reading.ok ? missingOf(reading.facts.references) : [];
    const since = required.filter((each) => !missing.includes(each)).map((each) => `it requires ${each}`);
    const reasons = reading.ok ? since : [reading.reason];
    for (const detail of reasons) report.refused.push({ ...finding, what: "manifest", detail });
  }

  #checkTag(tag: Tag, report: ScrubReport): void {
    const row = this.#features.tags.read(tag);
    if (row === undefined) return;
    report.checked.tags++;
    if (this.#features.manifests.has(row.digest)) return;
    const detail = `it points at ${row.digest}, which is not there`;
    report.problems.push({ what: "tag", repository: this.#host.name(), tag, detail });
  }

  /** Checks a link. If the shard does not know of it, the shard is told again, as it could delete the bytes. */
  async #checkLink(digest: Digest, report: ScrubReport): Promise<void> {
    const { env, name } = this.#host;
    const { blobs } = this.#features;
    const link = blobs.location(digest);
    if (link === undefined) return;
    report.checked.links++;
    const shard = shardStub(env, digest);
    if (await shard.isHeldBy(digest, name())) return;
    const finding = { repository: name(), digest, key: link.key };
    const known = await shard.locate(digest);
    const fault = known === undefined ? await faultOf(openBucket(env), link) : undefined;
    const adopted = fault === undefined ? await adoptBytes(env, known ?? link, name()) : undefined;
    if (adopted?.ok) {
      this.#relink(adopted.adoption);
      report.repaired.push({ ...finding, what: "holder", detail: "the shard did not know of the link" });
    } else if (blobs.location(digest) !== undefined) {
      report.problems.push({ ...finding, what: "link", detail: fault ?? "the shard has given the bytes up" });
    }
  }

  #relink({ digest, key, sizeBytes }: BlobLocation): void {
    const { blobs } = this.#features;
    const known = blobs.read(digest);
    if (known === undefined || known.key === key) return;
    transaction(this.#host.storage, (tx) => {
      blobs.write(tx, { digest, key, sizeBytes }, known.renewedAtMs);
      blobs.markRows(tx, digest);
    });
  }

  async #checkReplica(key: ReplicaKey, report: ScrubReport): Promise<void> {
    const { storage, replica, name } = this.#host;
    const { outbox, manifests, blobs } = this.#features;
    if (replica === undefined) return;
    // Blobs are replicated to KV only once a manifest references them.
    if (outbox.isMarked(key) || (key.kind === "blob" && !blobs.read(key.digest)?.isReplicated)) return;
    const isRight = await replica.isRight(name(), key, () => manifests.replicaValue(key));
    if (isRight || outbox.isMarked(key)) return;
    transaction(storage, (tx) => outbox.mark(tx, key));
    const { kind, ...id } = key;
    report.repaired.push({ what: `replica of ${kind}`, repository: name(), ...id });
  }

  /**
   * Removes rows from KV that should not exist and that the outbox is not about to remove; returns them. `isWritten`:
   * whether the ledger exists. If it does not, none of the rows should exist, and no outbox writes them.
   */
  async dropOrphans(
    isWritten: () => boolean,
    repository: RepositoryName,
    keys: ReplicaKey[],
  ): Promise<ReplicaKey[]> {
    const { storage, due, replica } = this.#host;
    const { outbox, manifests } = this.#features;
    if (replica === undefined) return [];
    const wasWritten = isWritten();
    if (!wasWritten) for (const key of keys) await replica.delete(repository, key);
    if (!isWritten()) return keys;
    // A push that has made the ledger meanwhile may have written these rows before they were deleted: all are repeated.
    const orphans = wasWritten
      ? keys.filter((key) => manifests.replicaValue(key) === undefined && !outbox.isMarked(key))
      : keys;
    transaction(storage, (tx) => {
      for (const key of orphans) outbox.mark(tx, key);
    });
    await outbox.flush(repository);
    due.arm();
    return orphans;
  }
}
