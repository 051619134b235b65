/**
 * The interface of the index of names for the Worker, uploads and ledgers; see api.ts.
 *
 * The index has every name whose ledger may have been founded. It may have more, but never fewer: a name is registered
 * before the transaction that founds its ledger, and removed before the object of the ledger is deleted. So a name that
 * is not registered is answered without its ledger, whose object would otherwise be created by the question.
 */
import type { RepositoryName } from "../oci/reference.ts";

/** A name that exists, and whether everybody may pull its repository. */
export type KnownName = { name: RepositoryName; isPublic: boolean };

/** A part of the index: the names with the same hash. */
export interface NameIndexApi {
  /**
   * Registers a name. To be awaited before its ledger is founded, or, with `isPublic`, before its repository becomes
   * public. Returns the number of this registration, which is higher than all earlier ones.
   */
  register(name: RepositoryName, isPublic: boolean): Promise<number>;
  /**
   * Adds names that exist already. They get no new registration: their number is 0 unless they are registered. Returns
   * how many were not there.
   */
  add(names: KnownName[]): Promise<number>;
  /** Removes a name that was registered under this number or a lower one. A later registration stays. */
  remove(name: RepositoryName, registration: number): Promise<void>;
  /**
   * Records that the repository of a name is no longer public, if the name was registered under this number or a lower
   * one.
   */
  hide(name: RepositoryName, registration: number): Promise<void>;
  /**
   * Whether a name is registered. `undefined`: it is not, but the index is still being filled, so its ledger has to be
   * asked. Only the Worker calls it.
   */
  has(name: RepositoryName): Promise<boolean | undefined>;
  /**
   * Whether the repository of a name may be public. A private repository and a name that is not registered are the
   * same here, and take the same time. `undefined` as for {@link has}. Only the Worker calls it.
   */
  mayBePublic(name: RepositoryName): Promise<boolean | undefined>;
  /**
   * Starts filling this part from the list of repositories again, by the alarm. Until that is done, the ledgers of
   * names that are not registered are asked. `part`: the number of this part.
   */
  rebuild(part: number): Promise<void>;
}

/** The calls of {@link NameIndexApi} that may be repeated. */
export const repeatableNameIndexCalls: ReadonlySet<keyof NameIndexApi> = new Set([
  "register",
  "add",
  "remove",
  "hide",
  "has",
  "mayBePublic",
  "rebuild",
]);
