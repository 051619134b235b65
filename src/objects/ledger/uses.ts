/**
 * The days on which manifests and tags were last used: pulled, or asked for to see whether they have changed. Isolates
 * report that once a day (registry/uses.ts).
 *
 * A use by a tag is a use of its manifest, too. What follows from a use is computed when it is read: that an index is
 * used whose image was used, and that a tag is used whose manifest was used.
 */
import type { Use } from "../../rpc/manifest-facts.ts";
import { dayOf } from "../../units.ts";
import { hasRow, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { RepositoryRecord } from "./repository.ts";

/** The days of last use. */
export class Uses implements Feature {
  readonly tables = {};

  readonly steps = {
    // Days are counted from 1970, in UTC; null for what was not used since it was pushed.
    10: `
  ALTER TABLE manifests ADD COLUMN used_day INTEGER;
  ALTER TABLE tags ADD COLUMN used_day INTEGER;
`,
  };

  readonly jobs = {};

  readonly #host: LedgerHost;
  readonly #repository: RepositoryRecord;

  constructor(host: LedgerHost, repository: RepositoryRecord) {
    this.#host = host;
    this.#repository = repository;
  }

  /**
   * Records uses on a day, or today if that is later. A clock that is ahead is believed for one day. What was recorded
   * for the day already is not written again.
   */
  record(uses: readonly Use[], usedDay: number): void {
    const { storage, sql, clock } = this.#host;
    const today = dayOf(clock.now());
    const day = Math.min(Math.max(usedDay, today), today + 1);
    const isNew = ({ digest, tag }: Use) =>
      hasRow(sql, `SELECT 1 FROM manifests WHERE digest = ?1 AND ${isEarlier}`, digest, day) ||
      (tag !== undefined && hasRow(sql, `SELECT 1 FROM tags WHERE tag = ?1 AND ${isEarlier}`, tag, day));
    const fresh = uses.filter(isNew);
    if (fresh.length === 0) return;
    this.#host.revision.value++;
    transaction(storage, (tx) => {
      for (const { digest, tag } of fresh) {
        tx.write(`UPDATE manifests SET used_day = ?2 WHERE digest = ?1 AND ${isEarlier}`, digest, day);
        if (tag !== undefined)
          tx.write(`UPDATE tags SET used_day = ?2 WHERE tag = ?1 AND ${isEarlier}`, tag, day);
      }
      this.#repository.noteUse(tx, day);
    });
  }
}

/** Whether the recorded day is before the second parameter. */
const isEarlier = "(used_day IS NULL OR used_day < ?2)";
