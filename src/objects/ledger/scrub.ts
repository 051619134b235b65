/**
 * A ledger's part of a scrub: its manifests' bytes and what they need, its links against the shards, and what KV says
 * of them all. KV may be behind by what is in the outbox; what else is wrong there is written anew.
 */
import type { Env } from "../../bindings.ts";
import { algorithmOf, type Digest, digestOfContent } from "../../oci/digest.ts";
import { readManifest, readStoredManifest } from "../../oci/manifest.ts";
import type { Reference } from "../../oci/manifest-fields.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { ReplicaKey } from "../../storage/keys.ts";
import { openBucket } from "../../storage/open-bucket.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import { emptyReport, type ScrubReport, type ScrubStep } from "../scrub/report.ts";
import { faultOf } from "../scrub/verify.ts";
import { transaction } from "../sql.ts";
import { shardStub } from "../stubs.ts";
import { markBlobRows } from "./links.ts";
import type { LedgerParts } from "./parts.ts";
import { replicaValue } from "./replica-writer.ts";

const batchRows = 50;

/** The ledger under scrub, and what was found of it. */
type LedgerScrub = { env: Env; parts: LedgerParts; repository: RepositoryName; report: ScrubReport };

const phases = ["manifest", "tag", "blob"] as const;

/** Checks a batch. `after` says what was the last one: its kind and its digest or tag; `""`: none. */
export async function scrubLedger(
  env: Env,
  parts: LedgerParts,
  repository: RepositoryName,
  after: string,
): Promise<ScrubStep> {
  const scrub: LedgerScrub = { env, parts, repository, report: emptyReport() };
  const [kind = "", last = ""] = after.split(" ");
  const phase = phases.find((each) => each === kind) ?? phases[0];
  const ids = idsOf(parts, phase, last);
  for (const id of ids) {
    const key: ReplicaKey = phase === "tag" ? { kind: "tag", tag: id } : { kind: phase, digest: id };
    try {
      await checkOne(scrub, key);
    } catch (error) {
      const { kind, ...which } = key;
      scrub.report.unchecked.push({ what: kind, repository, ...which, detail: String(error) });
    }
  }
  await parts.writer.flush(repository);
  parts.due.arm();
  const following = phases[phases.indexOf(phase) + 1];
  const whereNext = ids.length === batchRows ? `${phase} ${ids.at(-1)}` : following && `${following} `;
  return { report: scrub.report, next: whereNext };
}

function idsOf(
  { manifests, tags, blobs }: LedgerParts,
  phase: (typeof phases)[number],
  last: string,
): string[] {
  if (phase === "manifest") return manifests.page(last, batchRows);
  return phase === "tag" ? tags.page(last, batchRows).entries : blobs.page(last, batchRows);
}

/** Checks a manifest, tag or link, and what KV says of it. What goes wrong with one keeps it from no other. */
async function checkOne(scrub: LedgerScrub, key: ReplicaKey): Promise<void> {
  if (key.kind === "manifest") checkManifest(scrub, key.digest);
  else if (key.kind === "tag") checkTag(scrub, key.tag);
  else await checkLink(scrub, key.digest);
  await checkReplica(scrub, key);
}

function checkManifest({ parts, repository, report }: LedgerScrub, digest: string): void {
  const { manifests, settings } = parts;
  const row = manifests.read(digest);
  if (row === undefined) return;
  report.checked.manifests++;
  const finding = { repository, digest };
  if (digestOfContent(row.bytes, algorithmOf(digest as Digest)) !== digest) {
    report.problems.push({ ...finding, what: "manifest bytes", detail: "they have another digest" });
    return;
  }
  // Mirrors of a subset have manifests that name what is not there.
  const missingOf = (references: Reference[]) =>
    settings.sparseManifests === "accept" ? [] : manifests.missing(references);
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

function checkTag({ parts, repository, report }: LedgerScrub, tag: string): void {
  const row = parts.tags.read(tag);
  if (row === undefined) return;
  report.checked.tags++;
  if (parts.manifests.has(row.digest)) return;
  report.problems.push({
    what: "tag",
    repository,
    tag,
    detail: `it points at ${row.digest}, which is not there`,
  });
}

/** A shard that does not know of a link could delete its bytes: it is told again. */
async function checkLink(scrub: LedgerScrub, id: string): Promise<void> {
  const { env, parts, repository, report } = scrub;
  const link = parts.blobs.location(id);
  if (link === undefined) return;
  const { digest } = link;
  report.checked.links++;
  const shard = shardStub(env, digest);
  if (await shard.isHeldBy(digest, repository)) return;
  const finding = { repository, digest, key: link.key };
  const known = await shard.locate(digest);
  const fault = known === undefined ? await faultOf(openBucket(env), link) : undefined;
  const adopted = fault === undefined ? await shard.adopt(known ?? link, repository) : undefined;
  if (adopted?.ok) {
    relink(parts, adopted.adoption);
    report.repaired.push({ ...finding, what: "holder", detail: "the shard did not know of the link" });
  } else if (parts.blobs.location(digest) !== undefined) {
    report.problems.push({ ...finding, what: "link", detail: fault ?? "the shard has given the bytes up" });
  }
}

function relink(parts: LedgerParts, { digest, key, sizeBytes }: BlobLocation): void {
  const known = parts.blobs.read(digest);
  if (known === undefined || known.key === key) return;
  transaction(parts.storage, (tx) => {
    parts.blobs.write(tx, { digest, key, sizeBytes }, known.renewedAtMs, known.renewedAtMs + parts.graceMs);
    markBlobRows(tx, parts, digest);
  });
}

async function checkReplica({ parts, repository, report }: LedgerScrub, key: ReplicaKey): Promise<void> {
  const { storage, outbox, replica, blobs } = parts;
  if (replica === undefined) return;
  // Of blobs, KV learns only once a manifest names them.
  if (outbox.isMarked(key) || (key.kind === "blob" && !blobs.read(key.digest)?.isReplicated)) return;
  const isRight = await replica.isRight(repository, key, () => replicaValue(parts, key));
  if (isRight || outbox.isMarked(key)) return;
  transaction(storage, (tx) => outbox.mark(tx, key));
  const { kind, ...id } = key;
  report.repaired.push({ what: `replica of ${kind}`, repository, ...id });
}

/**
 * Removes those of these rows from KV that it should not have, and that nobody is about to remove; returns which.
 * `isWritten`: whether there is a ledger. Where there is none, none of them should be there, and nobody writes them.
 */
export async function dropStrays(
  parts: LedgerParts,
  isWritten: boolean,
  repository: RepositoryName,
  keys: ReplicaKey[],
): Promise<ReplicaKey[]> {
  const { storage, outbox, writer, replica, due } = parts;
  if (replica === undefined) return [];
  if (!isWritten) {
    for (const key of keys) await replica.delete(repository, key);
    return keys;
  }
  const strays = keys.filter((key) => replicaValue(parts, key) === undefined && !outbox.isMarked(key));
  transaction(storage, (tx) => {
    for (const key of strays) outbox.mark(tx, key);
  });
  await writer.flush(repository);
  due.arm();
  return strays;
}
