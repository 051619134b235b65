/**
 * Undoes the deletion of a repository: brings back what its generation had, in batches. Manifests and tags that exist
 * meanwhile are left as they are. Rows are copied, and the generation is removed when all of them are there, so a
 * restoration can be cut short by another deletion. Only where the database has no room for that, manifests are moved.
 */
import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { RestoredRepository } from "../../rpc/upkeep.ts";
import { type DueRow, jobOn } from "../due.ts";
import { hasTable, oneRow, readRows, type Tx, takeBytes, transaction } from "../sql.ts";
import type { Blobs } from "./blobs.ts";
import { isFull } from "./capacity.ts";
import { factsJob } from "./facts.ts";
import {
  asideName,
  type ComesBack,
  contentTables,
  type Feature,
  type LedgerHost,
  schemaOf,
} from "./feature.ts";
import type { Generation, Generations } from "./generations.ts";
import { forgetDeletion } from "./manifests.ts";
import type { Outbox } from "./outbox.ts";
import type { Policies } from "./policies.ts";
import type { RepositoryRecord } from "./repository.ts";
import { rereadJob, restoreJob } from "./reread.ts";
import type { Tags } from "./tags.ts";
import type { Untagged } from "./untagged.ts";

/** Manifests come with all that they need; tags after what they point at. */
const phases = ["manifests", "blobs", "tags", "tag_history"] as const;

type Phase = (typeof phases)[number];

/** Where a restoration goes on: a generation, a phase, and the last row of it. It is the id of the job. */
type Place = `${number} ${Phase} ${string}`;

const batchRows = 100;

/** How many batches the request itself does: a small repository is restored at once, and a large one by the alarm. */
const batchesAtOnce = 4;

/** What a reference of a manifest counts, in bytes, when the size of a batch is limited. */
const bytesOfReference = 1000;

/** The features that a restoration changes. */
type Features = {
  policies: Policies;
  repository: RepositoryRecord;
  generations: Generations;
  outbox: Outbox;
  blobs: Blobs;
  tags: Tags;
  untagged: Untagged;
};

/** The restoration of deleted repositories. */
export class Restoring implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [restoreJob]: {
      atDeletion: "cleared",
      run: jobOn<Place>(async (due) => {
        const { repository } = this.#features;
        transaction(this.#host.storage, (tx) => this.#continue(tx, due));
        // The day of use came back.
        if (!repository.isCurrent) repository.reload();
      }),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #features: Features;
  readonly #all: () => readonly Feature[];

  /** `all`: every feature of the ledger. */
  constructor(host: LedgerHost, features: Features, all: () => readonly Feature[]) {
    this.#host = host;
    this.#features = features;
    this.#all = all;
  }

  /**
   * Restores the generation of this number. Visibility and description come back only if there is no repository. Error:
   * `DELETION_UNKNOWN`.
   */
  begin(tx: Tx, number: number, exists: boolean, origin: Origin): Result<RestoredRepository> {
    const { clock, due } = this.#host;
    const { generations, repository, policies } = this.#features;
    const generation = generations.find(number);
    if (generation === undefined) return failure("DELETION_UNKNOWN", { generation: number });
    if (!exists) repository.refound(tx, generation, origin);
    policies.arm(tx);
    if (generation.restorer === null) {
      const restorer = JSON.stringify(origin);
      tx.write("UPDATE generations SET restorer = ? WHERE number = ?", restorer, number);
      let place: Place | undefined = `${number} ${phases[0]} `;
      for (let batch = 0; batch < batchesAtOnce && place !== undefined; batch++)
        place = this.#batch(tx, place, { ...generation, restorer });
      if (place !== undefined) due.set(tx, restoreJob, place, clock.now());
    }
    const isComplete = generations.restoring(number) === undefined;
    return { ok: true, generation: number, deletedAtMs: generation.deletedAtMs, isComplete };
  }

  #continue(tx: Tx, rows: DueRow<Place>[]): void {
    const { due, clock } = this.#host;
    for (const { id } of rows) {
      due.clear(tx, restoreJob, id);
      const generation = this.#features.generations.restoring(Number.parseInt(id, 10));
      const next = generation && this.#batch(tx, id, generation);
      if (next !== undefined) due.set(tx, restoreJob, next, clock.now());
    }
  }

  /** Restores a batch; returns where the next begins. */
  #batch(tx: Tx, place: Place, generation: Generation): Place | undefined {
    const { number } = generation;
    const [, name = "", last = ""] = place.split(" ");
    const index = phases.indexOf(name as Phase);
    const phase = phases[index] ?? phases[0];
    const reached = this.#restore(tx, phase, last, generation);
    if (reached !== undefined) return `${number} ${phase} ${reached}`;
    const next = phases[index + 1];
    if (next !== undefined) return `${number} ${next} `;
    this.#finish(tx, generation);
    return undefined;
  }

  /** Restores the next rows of a phase; returns the last, or `undefined` if there are no more. */
  #restore(tx: Tx, phase: Phase, last: string, generation: Generation): string | number | undefined {
    switch (phase) {
      case "manifests":
        return this.#restoreManifests(tx, last, generation);
      case "blobs":
        return this.#restoreBlobs(tx, last, generation);
      case "tags":
        return this.#restoreTags(tx, last, generation);
      case "tag_history":
        return this.#restoreHistory(tx, Number(last), generation);
    }
  }

  #finish(tx: Tx, { number, schema }: Generation): void {
    this.#host.announceSoon(tx, true);
    const { due, clock } = this.#host;
    for (const [table] of contentTables(this.#all(), "at the end")) copy(tx, table, number);
    this.#features.generations.restored(tx, number);
    const used = "SELECT max(used_day) AS day FROM manifests";
    const { day } = oneRow<{ day: number | null }>(tx.sql, used);
    const { repository } = this.#features;
    if (day !== null && repository.noteUse(tx, day)) repository.announceLater(tx);
    if (schema === schemaOf(this.#all()).length) return;
    // Some references may not be known; until they are, nothing is unlinked, as was the case until now.
    for (const job of [rereadJob, factsJob]) due.set(tx, job, "", clock.now());
  }

  #restoreManifests(tx: Tx, last: string, { number }: Generation): string | undefined {
    const { outbox, blobs, untagged } = this.#features;
    const [manifests, references] = [
      asideName("manifests", number),
      asideName("manifest_references", number),
    ];
    const page = `SELECT old.digest, old.size,
        EXISTS (SELECT 1 FROM manifests WHERE digest = old.digest) AS isThere,
        (SELECT count(*) FROM ${references} WHERE manifest = old.digest) AS named
      FROM ${manifests} AS old WHERE old.digest > ? ORDER BY old.digest LIMIT ?` as const;
    const found = readRows<{ digest: Digest; size: number; isThere: number; named: number }>(
      tx.sql,
      page,
      last,
      batchRows,
    );
    const batch = takeBytes(found, ({ size, named }) => size + named * bytesOfReference);
    const digests = batch.filter(({ isThere }) => isThere === 0).map(({ digest }) => digest);
    for (const digest of digests) forgetDeletion(tx, digest);
    const json = JSON.stringify(digests);
    this.#copyWith(tx, "with its manifest", number, json);
    const isNamed = `digest IN (${namedBy})`;
    copy(tx, "blobs", number, isNamed, json);
    const referenced = readRows<{ digest: Digest }>(tx.sql, namedBy, json).map(({ digest }) => digest);
    blobs.reference(tx, [...new Set(referenced)]);
    if (isFull(this.#host)) this.#drop(tx, number, json);
    outbox.markAll(tx, "manifest", "SELECT value AS id FROM json_each(?)", json);
    outbox.markAll(tx, "blob", `SELECT digest AS id FROM blobs WHERE ${isNamed}`, json);
    untagged.removeLater(tx, digests);
    return found.length < batchRows && batch.length === found.length ? undefined : batch.at(-1)?.digest;
  }

  /** Copies what belongs to manifests or tags, whose names are in `json`. */
  #copyWith(tx: Tx, comesBack: ComesBack, number: number, json: string): void {
    for (const [table, { key }] of contentTables(this.#all(), comesBack))
      copy(tx, table, number, `${key[0]} IN (SELECT value FROM json_each(?))`, json);
  }

  /**
   * Removes from the generation what is in the current content now, where there is no room for both: manifests, and the
   * blobs that no other manifest of the generation needs. If the repository is deleted before all is restored, these are
   * in the newer of the two generations.
   */
  #drop(tx: Tx, number: number, digests: string): void {
    for (const [table, { key }] of contentTables(this.#all(), "with its manifest"))
      drop(tx, table, number, `${key[0]} IN (SELECT value FROM json_each(?))`, digests);
    const isLeft = `SELECT 1 FROM ${asideName("manifest_references", number)} AS other
      WHERE other.digest = ${asideName("blobs", number)}.digest`;
    drop(tx, "blobs", number, `digest IN (${namedBy}) AND NOT EXISTS (${isLeft})`, digests);
  }

  /** Restores the other links. They are unlinked after the grace time, unless something references them by then. */
  #restoreBlobs(tx: Tx, last: string, { number }: Generation): string | undefined {
    const { clock, settings } = this.#host;
    const page =
      `SELECT digest FROM ${asideName("blobs", number)} WHERE digest > ? ORDER BY digest LIMIT ?` as const;
    const digests = readRows<{ digest: Digest }>(tx.sql, page, last, batchRows).map(({ digest }) => digest);
    const known = new Set(this.#features.blobs.held(digests));
    const json = JSON.stringify(digests.filter((digest) => !known.has(digest)));
    copy(tx, "blobs", number, "digest IN (SELECT value FROM json_each(?))", json);
    const unlink = `UPDATE blobs SET unlink_at = ?, replicated = 0
      WHERE digest IN (SELECT value FROM json_each(?))`;
    tx.write(unlink, clock.now() + settings.gcGraceMs, json);
    if (isFull(this.#host))
      drop(tx, "blobs", number, "digest IN (SELECT value FROM json_each(?))", JSON.stringify(digests));
    return digests.length < batchRows ? undefined : digests.at(-1);
  }

  #restoreTags(tx: Tx, last: string, { number, restorer }: Generation): string | undefined {
    const { tags, policies } = this.#features;
    const origin: Origin = JSON.parse(restorer ?? "{}");
    const page = `SELECT old.tag, old.digest, EXISTS (SELECT 1 FROM tags WHERE tag = old.tag) AS isThere,
        EXISTS (SELECT 1 FROM manifests WHERE digest = old.digest) AS isWhole
      FROM ${asideName("tags", number)} AS old WHERE old.tag > ? ORDER BY old.tag LIMIT ?` as const;
    const found = readRows<{ tag: Tag; digest: Digest; isThere: number; isWhole: number }>(
      tx.sql,
      page,
      last,
      batchRows,
    );
    const back = found
      .filter(({ isThere, isWhole }) => isThere === 0 && isWhole === 1)
      .filter(({ tag, digest }) => policies.refuseMove(tag, digest) === undefined);
    for (const { tag, digest } of back) tags.move(tx, tag, digest, origin);
    const aside = asideName("tags", number);
    const usedBefore = `SELECT used_day FROM ${aside} AS old WHERE old.tag = tags.tag`;
    const keepUse = `UPDATE tags SET used_day = (${usedBefore}) WHERE tag IN (SELECT value FROM json_each(?))`;
    const json = JSON.stringify(back.map(({ tag }) => tag));
    if (columnsIn(tx, aside).includes("used_day")) tx.write(keepUse, json);
    this.#copyWith(tx, "with its tag", number, json);
    return found.length < batchRows ? undefined : found.at(-1)?.tag;
  }

  #restoreHistory(tx: Tx, last: number, { number }: Generation): number | undefined {
    const page = `SELECT sequence FROM ${asideName("tag_history", number)} WHERE sequence > ?
      ORDER BY sequence LIMIT ?` as const;
    const sequences = readRows<{ sequence: number }>(tx.sql, page, last, batchRows).map(
      ({ sequence }) => sequence,
    );
    const json = JSON.stringify(sequences);
    copy(tx, "tag_history", number, "sequence IN (SELECT value FROM json_each(?))", json);
    if (sequences.length > 0) this.#features.tags.forgetOldMoves(tx);
    return sequences.length < batchRows ? undefined : sequences.at(-1);
  }
}

/** SQL for the digests that manifests reference, which are bound as JSON. */
const namedBy =
  "SELECT digest FROM manifest_references WHERE manifest IN (SELECT value FROM json_each(?))" as const;

/** Removes rows of a table that was set aside. */
function drop(tx: Tx, table: string, generation: number, condition: string, json: string): void {
  const aside = asideName(table, generation);
  if (hasTable(tx.sql, aside)) tx.write(`DELETE FROM ${aside} WHERE ${condition}`, json);
}

/** Copies those rows of a table that was set aside which the current one does not have. */
function copy(tx: Tx, table: string, generation: number, condition = "TRUE", ...json: string[]): void {
  const aside = asideName(table, generation);
  // A generation of an earlier release has not all the tables.
  if (!hasTable(tx.sql, aside)) return;
  const columns = columnsIn(tx, aside).join(", ");
  if (columns === "") return;
  tx.write(
    `INSERT OR IGNORE INTO ${table} (${columns}) SELECT ${columns} FROM ${aside} WHERE ${condition}`,
    ...json,
  );
}

/** The columns of a table that was set aside; a later release may have added some to the current one. None: it is empty. */
function columnsIn(tx: Tx, aside: string): string[] {
  const [row] = readRows(tx.sql, `SELECT * FROM ${aside} LIMIT 1` as `SELECT ${string}`);
  return Object.keys(row ?? {});
}
