/**
 * The ledger's side of the index of names (rpc/name-index-api.ts).
 *
 * A ledger is founded only on a registration of its name that was made for this write. Before its object is deleted, it
 * has the name removed, under the number of the last registration that it knows: if there is a later one, the name
 * stays, as a write to found the ledger anew is on its way.
 *
 * That write may arrive late, even after the object was deleted and another registration removed. So registrations
 * expire, and the object is kept until those that it knows of have. The clock of this object alone decides about that.
 */
import { nameIndexStub } from "../../rpc/stubs.ts";
import { minute } from "../../units.ts";
import { type Tx, transaction } from "../sql.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import type { Meta, RepositoryRecord } from "./repository.ts";

/** The job that brings the index in line with the ledger. */
const tellJob = "tell-index";

/** The job that wakes the object when it may be deleted. */
const leaveJob = "leave-index";

/** How long after its registration a ledger may be founded, in milliseconds. */
const validMs = 10 * minute;

/** How long the object is kept after a registration, in milliseconds. */
const keptMs = 15 * minute;

/** How soon the index is told again after it did not answer, in milliseconds. */
const againMs = 30_000;

/** What the ledger knows of its registration. */
export class Registration implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [tellJob]: { atDeletion: "kept", run: () => this.#tell() },
    [leaveJob]: {
      atDeletion: "kept",
      run: async () =>
        transaction(this.#host.storage, (tx) => {
          this.#host.due.clear(tx, leaveJob, "");
        }),
    },
  } as const;

  readonly #host: LedgerHost;
  readonly #repository: RepositoryRecord;

  constructor(host: LedgerHost, repository: RepositoryRecord) {
    this.#host = host;
    this.#repository = repository;
  }

  /**
   * Whether a write may found the ledger. `undefined`: it is from a Worker of an earlier release, which registers
   * nothing. The index is not believed that soon after an upgrade (see `settledAtMs` in rpc/api.ts).
   */
  allows(registration: number | null | undefined): boolean {
    if (registration === null) return false;
    if (registration === undefined) return true;
    const last = this.#repository.meta?.registration ?? 0;
    return registration > last && registration > this.#host.clock.now() - validMs;
  }

  /** Records that the name was registered under this number; `isPublic`: as that of a public repository. */
  note(tx: Tx, registration: number | null | undefined, isPublic = false): void {
    if (registration == null) return;
    if (registration > (this.#repository.meta?.registration ?? -1))
      this.#repository.write(tx, "registration", String(registration));
    if (isPublic) this.#repository.write(tx, "listed-as-public", "yes");
  }

  /** To be called when the repository is founded. A Worker of an earlier release did not register it. */
  noteFounding(tx: Tx, registration: number | null | undefined): void {
    if (registration === undefined) this.#repository.forget(tx, "registration");
    this.note(tx, registration);
  }

  /** Schedules telling the index what it does not know. */
  #tellLater(tx: Tx): void {
    this.#host.due.set(tx, tellJob, "", this.#host.clock.now());
  }

  /** Whether the index does not know that the repository exists, or what its visibility is. */
  get #isBehind(): boolean {
    const { meta } = this.#repository;
    if (meta === undefined || !meta.isFounded) return false;
    return meta.registration === undefined || (meta.visibility === "public") !== meta.isListedAsPublic;
  }

  /**
   * To be called when the record of the repository was read: its visibility may have changed, an earlier release may
   * have founded the ledger, or the name may have been that of a public repository.
   */
  catchUp(): void {
    const { storage, due } = this.#host;
    if (this.#isBehind && !due.has(tellJob)) transaction(storage, (tx) => this.#tellLater(tx));
  }

  async #tell(): Promise<void> {
    const { env, storage } = this.#host;
    const told = this.#repository.meta;
    if (told === undefined) return;
    const { name, registration, visibility } = told;
    const isPublic = visibility === "public";
    const isBehind = this.#isBehind;
    if (isBehind && (registration === undefined || isPublic))
      await nameIndexStub(env, name).add([{ name, isPublic }]);
    else if (isBehind) await nameIndexStub(env, name).hide(name, registration ?? 0);
    transaction(storage, (tx) => {
      const hasChanged = JSON.stringify(this.#repository.meta) !== JSON.stringify(told);
      // What the index was told, it knows, whatever has changed meanwhile.
      if (isBehind) this.#noteTold(tx, told);
      if (hasChanged) this.#tellLater(tx);
      else this.#host.due.clear(tx, tellJob, "");
    });
    if (!this.#repository.isCurrent) this.#repository.reload();
  }

  /** Adds the name to the index if it is not there, as it may have been put back to an earlier state. Returns whether. */
  async restore(): Promise<boolean> {
    const { meta } = this.#repository;
    if (meta === undefined || !meta.isFounded) return false;
    const { name, visibility } = meta;
    const isPublic = visibility === "public";
    return (await nameIndexStub(this.#host.env, name).add([{ name, isPublic }])) > 0;
  }

  #noteTold(tx: Tx, told: Meta): void {
    this.note(tx, told.registration ?? 0);
    this.#repository.write(tx, "listed-as-public", told.visibility === "public" ? "yes" : "no");
  }

  /**
   * Has the name removed from the index, so that the object may be deleted. Returns false if that has to wait. What
   * happens while the index is called, the caller has to look at.
   */
  async leave(): Promise<boolean> {
    const { env, storage, due, clock } = this.#host;
    const { meta } = this.#repository;
    if (meta?.registration === undefined) return true;
    const { name, registration } = meta;
    const wait = (until: number) => transaction(storage, (tx) => due.set(tx, leaveJob, "", until));
    if (clock.now() < registration + keptMs) {
      wait(registration + keptMs);
      return false;
    }
    try {
      await nameIndexStub(env, name).remove(name, registration);
    } catch {
      wait(clock.now() + againMs);
      return false;
    }
    return this.#repository.meta?.registration === registration;
  }
}
