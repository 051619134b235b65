/** The ledger's record of its repository as a whole, and its announcement to the catalog. */
import type { Origin } from "../../oci/event.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type { RepositoryChange, RepositoryInfo } from "../../rpc/api.ts";
import { catalogStub } from "../../rpc/stubs.ts";
import { DueTable } from "../due.ts";
import { scheduleScrub } from "../scrub/schedule.ts";
import { firstRow, hasRow, hasTable, readRows, type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";

/** The job that announces the repository to the catalog. */
const announceJob = "announce";

/**
 * The record. `isFounded`: something was pushed, and was not deleted as a whole since; without that, the ledger only
 * remembers what was. `generation`: the number of the current content; it rises with each deletion of the repository.
 */
export type Meta = RepositoryInfo & {
  isFounded: boolean;
  generation: number;
  /** The `UNTAGGED_TTL`, in milliseconds, at the last scan for untagged manifests. */
  untaggedTtl: string | undefined;
  /** The last registration in the index of names that the ledger knows of; 0: the index has its name all the same. */
  registration: number | undefined;
  /** Whether the index may have the repository as a public one. */
  isListedAsPublic: boolean;
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
  | "generation"
  | "untagged-ttl"
  | "used-day"
  | "registration"
  | "listed-as-public"
  /** The version of what the catalog is told, which only grows. */
  | "announcement"
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
    // A column of type ANY has numeric affinity (https://sqlite.org/datatype3.html, section 3.1): it made a number of the
    // name "2024", and of "0123" another one.
    14: {
      compatible: `
  CREATE TABLE meta_before (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
  INSERT INTO meta_before (key, value) SELECT key, value FROM meta;
  DROP TABLE meta;
  -- Renaming a table is billed as a row for each one that the object has.
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
  INSERT INTO meta (key, value) SELECT key, value FROM meta_before;
  DROP TABLE meta_before;
`,
    },
  };

  readonly jobs = { [announceJob]: { atDeletion: "awaited", run: () => this.announce() } } as const;

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

  /** The name of the repository. The ledger must exist, if only in the transaction that is running. */
  name(): RepositoryName {
    const { name } = this.meta ?? this.#read() ?? {};
    if (name === undefined) throw new Error("there is no ledger");
    return name;
  }

  /** Reads the record from storage. */
  reload(): void {
    this.meta = this.#read();
    this.isCurrent = true;
  }

  #read(): Meta | undefined {
    const { sql } = this.#host;
    return hasTable(sql, "meta") ? readMeta(sql) : undefined;
  }

  /** Whether the repository exists, as a running transaction sees it. */
  isFoundedIn(sql: SqlStorage): boolean {
    return hasRow(sql, "SELECT 1 FROM meta WHERE key = 'founded'");
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

  /** Removes a value. */
  forget(tx: Tx, key: Exclude<MetaKey, "name">): void {
    tx.write("DELETE FROM meta WHERE key = ?", key);
    this.isCurrent = false;
  }

  /** Creates the repository with its first blob or manifest, and schedules its announcement. */
  found(tx: Tx, origin: Origin): void {
    this.write(tx, "founded", "yes");
    this.#events.record(tx, "repository.create", origin, {});
    scheduleScrub(tx, this.#host);
    this.announceLater(tx);
  }

  /** Creates the repository as it was before it was deleted. */
  refound(tx: Tx, before: Pick<RepositoryInfo, "visibility" | "description" | "kind">, origin: Origin): void {
    this.found(tx, origin);
    if (before.kind === "cache") this.write(tx, "cache-born", String(this.#host.clock.now()));
    const empty = { name: this.name(), visibility: "private", description: "" } as const;
    const { visibility, description } = before;
    this.change(tx, empty, { visibility, description }, origin);
  }

  /** Changes the visibility or the description. */
  change(tx: Tx, before: RepositoryInfo, change: RepositoryChange, origin: Origin): void {
    const { visibility, description } = { ...before, ...change };
    this.write(tx, "visibility", visibility);
    this.write(tx, "description", description);
    if (visibility !== before.visibility)
      this.#events.record(tx, "repository.visibility", origin, { visibility });
    this.announceLater(tx);
  }

  /** Records the day of a use. Returns whether it is later than that of the last one. */
  noteUse(tx: Tx, day: number): boolean {
    if ((this.meta?.usedDay ?? 0) >= day) return false;
    this.write(tx, "used-day", String(day));
    this.#host.announceSoon(tx);
    return true;
  }

  /** Records that the repository is deleted: what is pushed from now on is of the next generation. */
  endGeneration(tx: Tx, { generation }: Meta, origin: Origin): void {
    tx.write(
      "DELETE FROM meta WHERE key IN ('founded', 'visibility', 'description', 'used-day', 'cache-born')",
    );
    this.write(tx, "generation", String(generation + 1));
    this.#events.record(tx, "repository.delete", origin, {});
    this.announceLater(tx);
    // The next generation may be announced before this deletion is.
    this.#host.announceSoon(tx, true);
  }

  /**
   * Schedules the announcement, as something in it has changed. It has a later version than all before it, and than
   * `known`.
   */
  announceLater(tx: Tx, known = 0): void {
    const { due, clock } = this.#host;
    this.#host.announceSoon(tx);
    const version = Math.max(clock.now(), this.#version(tx.sql) + 1, known + 1);
    tx.write("INSERT OR REPLACE INTO meta (key, value) VALUES ('announcement', ?)", String(version));
    due.set(tx, announceJob, "", clock.now());
  }

  /** The version of what the catalog is told now; 0: nothing has changed since there are versions. */
  #version(sql: SqlStorage): number {
    const query = "SELECT value FROM meta WHERE key = 'announcement'";
    return Number(firstRow<{ value: string }>(sql, query)?.value ?? 0);
  }

  /** Announces to the catalog how to list the repository. If that changes meanwhile, it is announced again. */
  announce(): Promise<void> {
    // One call at a time, as a second one could arrive first.
    const announced = this.#announcing.then(() => this.#announceNow());
    this.#announcing = announced.catch(() => {});
    return announced;
  }

  async #announceNow(): Promise<void> {
    const told = this.#announcement();
    if (told === undefined) return;
    const { env, storage, due } = this.#host;
    const { isFounded, generation: _, usedDay, keepsDeleted, version, ...info } = told;
    const catalog = catalogStub(env);
    const later = await (isFounded
      ? catalog.putRepository(info, usedDay, keepsDeleted, version)
      : catalog.removeRepository(info.name, keepsDeleted, version));
    if (later !== undefined && this.meta !== undefined) {
      // This object was put back to an earlier state, or founded anew under a clock that was.
      transaction(storage, (tx) => this.announceLater(tx, later));
      due.arm();
      return;
    }
    if (JSON.stringify(this.#announcement()) !== JSON.stringify(told)) return;
    transaction(storage, (tx) => due.clear(tx, announceJob, ""));
  }

  /** What the catalog is told. `keepsDeleted`: the ledger still has content that was deleted with the repository. */
  #announcement() {
    if (this.meta === undefined) return undefined;
    const { name, visibility, description, isFounded, generation, usedDay, kind } = this.meta;
    const keepsDeleted = hasRow(this.#host.sql, "SELECT 1 FROM generations WHERE number > 0 LIMIT 1");
    const info = { name, visibility, description, ...(kind && { kind }) };
    const version = this.#version(this.#host.sql);
    return { ...info, isFounded, generation, usedDay, keepsDeleted, version };
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
    generation: Number(values.get("generation") ?? 1),
    untaggedTtl: values.get("untagged-ttl"),
    registration: numberOf(values.get("registration")),
    isListedAsPublic: values.get("listed-as-public") === "yes",
    usedDay: numberOf(values.get("used-day")),
    born: Number(values.get("cache-born") ?? 0),
    ...(values.has("cache-born") ? { kind: "cache" } : {}),
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
