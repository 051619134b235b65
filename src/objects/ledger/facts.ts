/**
 * Facts about manifests that lists show: kind, size of the content, platforms, when it was created and by whom pushed.
 * They are columns of `manifests`, so a push writes no row for them. What only the config of an image says is added
 * when somebody first asks for it (registry/facts.ts).
 */
import type { Digest } from "../../oci/reference.ts";
import type { ConfigFacts } from "../../rpc/manifest-facts.ts";
import { dayOf } from "../../units.ts";
import { type DueRow, jobOn } from "../due.ts";
import { type Tx, takeBytes, transaction } from "../sql.ts";
import { factColumns, factsOf } from "./fact-columns.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Manifests } from "./manifests.ts";

/** The job that fills in the facts of manifests of earlier releases; its id is the last digest that was filled in. */
export const factsJob = "manifest-facts";

const batchRows = 100;

const fill = `UPDATE manifests SET ${factColumns.map((column) => `${column} = ?`).join(", ")},
  used_day = coalesce(used_day, ?) WHERE digest = ? AND kind IS NULL`;

const addConfig = `UPDATE manifests SET platforms = ?1, created_at = coalesce(?2, created_at)
  WHERE digest = ?3 AND platforms IS NOT ?1 RETURNING digest`;

/** The facts about manifests. */
export class Facts implements Feature {
  readonly tables = {};

  readonly steps = {
    // platforms is a JSON array, null until the config was read; config is the digest of that.
    10: `
  ALTER TABLE manifests ADD COLUMN kind TEXT;
  ALTER TABLE manifests ADD COLUMN content_size INTEGER;
  ALTER TABLE manifests ADD COLUMN platforms TEXT;
  ALTER TABLE manifests ADD COLUMN config TEXT;
  ALTER TABLE manifests ADD COLUMN created_at INTEGER;
  ALTER TABLE manifests ADD COLUMN pushed_by TEXT;
  INSERT OR REPLACE INTO due (kind, id, at) SELECT '${factsJob}', '', 0 FROM manifests WHERE digest > '' LIMIT 1;
`,
  };

  readonly jobs = {
    [factsJob]: {
      atDeletion: "cleared",
      run: jobOn<Digest | "">(async (due) =>
        transaction(this.#host.storage, (tx) => this.#fillBatch(tx, due)),
      ),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #manifests: Manifests;

  constructor(host: LedgerHost, manifests: Manifests) {
    this.#host = host;
    this.#manifests = manifests;
  }

  /**
   * Fills in the facts of the next manifests. They count as used on this day, as nobody knows when they were used
   * before.
   */
  #fillBatch(tx: Tx, rows: DueRow<Digest | "">[]): void {
    const { due, clock } = this.#host;
    for (const { id: after } of rows) {
      const stats = takeBytes(this.#manifests.page(after, batchRows), ({ sizeBytes }) => sizeBytes);
      for (const { digest, mediaType, sizeBytes } of stats) {
        const values = factsOf(this.#manifests.bytes(digest, sizeBytes), mediaType);
        tx.write(fill, ...values, dayOf(clock.now()), digest);
      }
      due.clear(tx, factsJob, after);
      const last = stats.at(-1);
      if (last !== undefined) due.set(tx, factsJob, last.digest, clock.now());
    }
  }

  /** Adds what the configs of images say, where it is new. The search finds images by their platforms. */
  addConfigs(tx: Tx, facts: readonly ConfigFacts[]): void {
    const added = facts.flatMap(({ manifest, platforms, createdAtMs }) =>
      tx.write(addConfig, JSON.stringify(platforms), createdAtMs ?? null, manifest),
    );
    if (added.length > 0) this.#host.announceSoon(tx);
  }
}
