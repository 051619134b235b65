/**
 * How rows that the outbox has marked get to KV: each with what the ledger says of it at that moment.
 */
import type { Clock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/name.ts";
import type { ReplicaKey } from "../../storage/keys.ts";
import type { Replica, ReplicaValue } from "../../storage/replica.ts";
import type { DueTable } from "../due.ts";
import { type TransactionalStorage, transaction } from "../sql.ts";
import { tellBacklogLater } from "./backlog.ts";
import type { BlobLinkStore } from "./blob-link-store.ts";
import type { ManifestStore } from "./manifest-store.ts";
import { keyOf, type Mark, type Outbox, type Outcome, writesAtOnce } from "./outbox.ts";
import type { TagStore } from "./tag-store.ts";

const flushBudgetMs = 10_000;

/** What the rows of the replica are read from. */
type Stores = { manifests: ManifestStore; tags: TagStore; blobs: BlobLinkStore };

/** What KV should say, as the ledger says it now; `undefined` where there should be no row. */
export function replicaValue({ manifests, tags, blobs }: Stores, key: ReplicaKey): ReplicaValue | undefined {
  switch (key.kind) {
    case "manifest": {
      const row = manifests.read(key.digest);
      return row && { kind: "manifest", row };
    }
    case "tag": {
      const row = tags.read(key.tag);
      return row && { kind: "tag", row };
    }
    case "blob": {
      const row = blobs.location(key.digest);
      return row && { kind: "blob", row };
    }
  }
}

/** What a writer works with. */
type WriterParts = Stores & {
  storage: TransactionalStorage;
  clock: Clock;
  due: DueTable;
  /** `undefined` on one machine. */
  replica: Replica | undefined;
  outbox: Outbox;
};

/** Writes the rows of one ledger to KV. */
export class ReplicaWriter {
  readonly #parts: WriterParts;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /**
   * Writes what is marked and due, for as long as the budget lasts; the alarm goes on. `claimed` comes first. Never
   * throws.
   */
  async flush(repository: RepositoryName, claimed: Mark[] = this.#claim()): Promise<void> {
    const { storage, clock, due, replica, outbox } = this.#parts;
    const deadline = clock.now() + flushBudgetMs;
    for (let marks = claimed; marks.length > 0; marks = this.#claim()) {
      if (replica === undefined) return;
      const outcomes: Outcome[] = [];
      for (let start = 0; start < marks.length; start += writesAtOnce) {
        const group = marks.slice(start, start + writesAtOnce);
        outcomes.push(...(await Promise.all(group.map((mark) => this.#write(replica, repository, mark)))));
      }
      transaction(storage, (tx) => outbox.settle(tx, outcomes));
      if (clock.now() <= deadline) continue;
      transaction(storage, (tx) => tellBacklogLater(tx, due, clock.now()));
      break;
    }
    transaction(storage, (tx) => outbox.reschedule(tx));
  }

  #claim(): Mark[] {
    const { storage, outbox } = this.#parts;
    return transaction(storage, (tx) => outbox.claim(tx));
  }

  async #write(replica: Replica, repository: RepositoryName, mark: Mark): Promise<Outcome> {
    const key = keyOf(mark);
    const value = replicaValue(this.#parts, key);
    let isKnown = true;
    try {
      if (value === undefined) await replica.delete(repository, key);
      else await replica.put(repository, key, value);
    } catch (error) {
      isKnown = false;
      console.warn(
        JSON.stringify({ event: "replica write failed", repository, ...key, error: String(error) }),
      );
    }
    return { mark, isKnown, isDelete: value === undefined };
  }
}
