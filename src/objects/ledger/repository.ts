/** What a ledger knows of its repository as a whole, and how it tells the catalog. */
import type { Origin } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { RepositoryChange, RepositoryInfo } from "../../rpc/api.ts";
import { catalogStub } from "../../rpc/stubs.ts";
import { DueTable } from "../due.ts";
import { hasTable, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job of the `due` table that tells the catalog. */
const announceJob = "announce";

/**
 * What is kept. `isFounded`: something was pushed to it; before that, the ledger only remembers cancelled sessions.
 * `isDeleting`: the repository is deleted, but KV may not know yet.
 */
export type Meta = RepositoryInfo & {
  isFounded: boolean;
  isDeleting: boolean;
  /** The `UNTAGGED_TTL`, in milliseconds, at the last scan for untagged manifests. */
  untaggedTtl: string | undefined;
};

type MetaRow = { key: "name"; value: RepositoryName } | { key: Exclude<MetaKey, "name">; value: string };

type MetaKey = "name" | "visibility" | "description" | "founded" | "deleting" | "untagged-ttl";

/** The repository's record. */
export class RepositoryRecord implements Feature {
  readonly tables = { meta: "kept", due: "kept", schema_version: "kept" } as const;

  readonly steps = {
    1: `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
${DueTable.schema}`,
    8: `${DueTable.dropIndex};`,
  };

  readonly jobs = { [announceJob]: { atDeletion: "drained", run: () => this.announce() } } as const;

  readonly #host: LedgerHost;
  readonly #events: EventLog;
  #announcing: Promise<void> = Promise.resolve();
  /** As it was read last; `undefined` until the ledger's first write. */
  meta: Meta | undefined;
  /** Whether that is what is kept now. */
  isCurrent = false;

  constructor(host: LedgerHost, events: EventLog) {
    this.#host = host;
    this.#events = events;
  }

  /** The name of the repository. There must be a ledger. */
  name(): RepositoryName {
    if (this.meta === undefined) throw new Error("there is no ledger");
    return this.meta.name;
  }

  /** Reads what is kept. */
  reload(): void {
    const { sql } = this.#host;
    this.meta = hasTable(sql, "meta") ? readMeta(sql) : undefined;
    this.isCurrent = true;
  }

  /** To be called when the object deletes all that it keeps. */
  clear(): void {
    this.meta = undefined;
  }

  /** Keeps a value. */
  write(tx: Tx, key: MetaKey, value: string): void {
    tx.write("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
    this.isCurrent = false;
  }

  /** Makes the repository exist, with its first blob or manifest, and has the catalog told. */
  found(tx: Tx, origin: Origin): void {
    const { due, settings, clock } = this.#host;
    this.write(tx, "founded", "yes");
    this.#events.record(tx, "repository.create", origin, {});
    due.scrubLater(tx, settings.scrubEveryMs);
    due.set(tx, announceJob, "", clock.now());
  }

  /** Changes the visibility or the description. */
  change(tx: Tx, before: RepositoryInfo, change: RepositoryChange, origin: Origin): void {
    const { due, clock } = this.#host;
    const { visibility, description } = { ...before, ...change };
    this.write(tx, "visibility", visibility);
    this.write(tx, "description", description);
    if (visibility !== before.visibility)
      this.#events.record(tx, "repository.visibility", origin, { visibility });
    due.set(tx, announceJob, "", clock.now());
  }

  /** Notes that the repository is deleted. */
  markDeleted(tx: Tx, origin: Origin): void {
    this.write(tx, "deleting", "yes");
    this.#events.record(tx, "repository.delete", origin, {});
    this.#host.due.set(tx, announceJob, "", this.#host.clock.now());
  }

  afterDeletion(tx: Tx): void {
    tx.write("DELETE FROM meta WHERE key != 'name'");
    this.isCurrent = false;
  }

  /** Tells the catalog what to list. If it changes meanwhile, the catalog is told again. */
  announce(): Promise<void> {
    // One call at a time: otherwise the second could arrive first.
    const announced = this.#announcing.then(() => this.#announceNow());
    this.#announcing = announced.catch(() => {});
    return announced;
  }

  async #announceNow(): Promise<void> {
    const told = this.meta;
    if (told === undefined) return;
    const { env, storage, due } = this.#host;
    const { name, visibility, description, isDeleting } = told;
    const catalog = catalogStub(env);
    await (isDeleting
      ? catalog.removeRepository(name)
      : catalog.putRepository({ name, visibility, description }));
    if (JSON.stringify(this.meta) !== JSON.stringify(told)) return;
    transaction(storage, (tx) => due.clear(tx, announceJob, ""));
  }
}

function readMeta(sql: SqlStorage): Meta {
  const found = readRows<MetaRow>(sql, "SELECT key, value FROM meta");
  const named = found.find((row) => row.key === "name");
  if (named === undefined) throw new Error("the ledger does not know the name of its repository");
  const values = new Map<MetaKey, string>(found.map(({ key, value }) => [key, value]));
  return {
    name: named.value,
    visibility: values.get("visibility") === "public" ? "public" : "private",
    description: values.get("description") ?? "",
    isFounded: values.get("founded") === "yes",
    isDeleting: values.get("deleting") === "yes",
    untaggedTtl: values.get("untagged-ttl"),
  };
}
