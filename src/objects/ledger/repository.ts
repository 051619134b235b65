/** The ledger's record of its repository as a whole, and its announcement to the catalog. */
import type { Origin } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { RepositoryChange, RepositoryInfo } from "../../rpc/api.ts";
import { catalogStub } from "../../rpc/stubs.ts";
import { DueTable } from "../due.ts";
import { scheduleScrub } from "../scrub/schedule.ts";
import { hasTable, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that announces the repository to the catalog. */
const announceJob = "announce";

/**
 * The record. `isFounded`: something was pushed; before that, the ledger only remembers cancelled sessions.
 * `isDeleting`: the repository is deleted, but KV may still have rows of it.
 */
export type Meta = RepositoryInfo & {
  isFounded: boolean;
  isDeleting: boolean;
  /** The `UNTAGGED_TTL`, in milliseconds, at the last scan for untagged manifests. */
  untaggedTtl: string | undefined;
  /** The last day on which anything of it was used, counted from 1970. */
  usedDay: number | undefined;
  /** When a cached repository was created, in milliseconds since 1970; 0 for others. */
  born: number;
};

type MetaRow = { key: "name"; value: RepositoryName } | { key: Exclude<MetaKey, "name">; value: string };

type MetaKey =
  | "name"
  | "visibility"
  | "description"
  | "founded"
  | "deleting"
  | "untagged-ttl"
  | "used-day"
  /** Only of a cached repository: when it was created. */
  | "cache-born";

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
  /** The record as it was last read; `undefined` until the ledger's first write. */
  meta: Meta | undefined;
  /** Whether {@link meta} is current. */
  isCurrent = false;

  constructor(host: LedgerHost, events: EventLog) {
    this.#host = host;
    this.#events = events;
  }

  /** The name of the repository. The ledger must exist. */
  name(): RepositoryName {
    if (this.meta === undefined) throw new Error("there is no ledger");
    return this.meta.name;
  }

  /** Reads the record from storage. */
  reload(): void {
    const { sql } = this.#host;
    this.meta = hasTable(sql, "meta") ? readMeta(sql) : undefined;
    this.isCurrent = true;
  }

  /** To be called when the object deletes all its data. */
  clear(): void {
    this.meta = undefined;
  }

  /** Stores a value. */
  write(tx: Tx, key: MetaKey, value: string): void {
    tx.write("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value);
    this.isCurrent = false;
  }

  /** Creates the repository with its first blob or manifest, and schedules its announcement. */
  found(tx: Tx, origin: Origin): void {
    const { due, clock } = this.#host;
    this.write(tx, "founded", "yes");
    this.#events.record(tx, "repository.create", origin, {});
    scheduleScrub(tx, this.#host);
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

  /** Records the day of a use. */
  noteUse(tx: Tx, day: number): void {
    if ((this.meta?.usedDay ?? 0) < day) this.write(tx, "used-day", String(day));
  }

  /** Records that the repository is deleted. */
  markDeleted(tx: Tx, origin: Origin): void {
    this.write(tx, "deleting", "yes");
    this.#events.record(tx, "repository.delete", origin, {});
    this.#host.due.set(tx, announceJob, "", this.#host.clock.now());
  }

  afterDeletion(tx: Tx): void {
    tx.write("DELETE FROM meta WHERE key != 'name'");
    this.isCurrent = false;
  }

  /** Announces to the catalog how to list the repository. If that changes meanwhile, it is announced again. */
  announce(): Promise<void> {
    // One call at a time, as a second one could arrive first.
    const announced = this.#announcing.then(() => this.#announceNow());
    this.#announcing = announced.catch(() => {});
    return announced;
  }

  async #announceNow(): Promise<void> {
    const told = this.meta;
    if (told === undefined) return;
    const { env, storage, due } = this.#host;
    const { name, visibility, description, usedDay, isDeleting, kind } = told;
    const catalog = catalogStub(env);
    await (isDeleting
      ? catalog.removeRepository(name)
      : catalog.putRepository({ name, visibility, description, ...(kind && { kind }) }, usedDay));
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
    usedDay: numberOf(values.get("used-day")),
    born: Number(values.get("cache-born") ?? 0),
    ...(values.has("cache-born") ? { kind: "cache" } : {}),
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
