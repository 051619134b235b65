/**
 * What policies do to the tags of one repository, as far as its clients can know it: which of them stay as they are, and
 * which may have been removed.
 */
import type { Policy } from "../../../src/policy/document.ts";
import { isImmutable } from "../../../src/policy/enforcement.ts";
import { matchesAny } from "../../../src/policy/retention.ts";
import { parseDuration } from "../../../src/units.ts";
import { anyOf, type Certainty } from "./certainty.ts";
import { tagCount } from "./program.ts";

/** Where a tag points; `null`: nowhere. */
export type Place = number | null;

/**
 * A tag. It was moved last at a time between `after` and `before`. `expired`: what it may be bound to once it does not
 * exist, as retention removed it while it was immutable.
 */
type PolicedTag = {
  after: number;
  before: number;
  isHeld: Certainty;
  expired: Set<Place>;
  /** Whether retention alone may have removed it since it was last known to be there, and always as an immutable one. */
  mayBeExpired: boolean;
  wasImmutable: boolean;
};

const nameOf = (tag: number): string => `tag-${tag}`;

/** The tags of one repository. */
export class PolicedTags {
  readonly #possible: () => Policy[];
  readonly #driftMs: number;
  readonly #tags: PolicedTag[];
  /** Whether somebody may have confirmed a run since the repository was founded: nothing is removed before. */
  #isConfirmed = false;

  /** `driftMs`: how far the ledger's clock may jump. */
  constructor(possible: () => Policy[], driftMs: number) {
    this.#possible = possible;
    this.#driftMs = driftMs;
    this.#tags = Array.from({ length: tagCount }, () => ({
      after: 0,
      before: 0,
      isHeld: "no",
      expired: new Set([null]),
      mayBeExpired: false,
      wasImmutable: true,
    }));
  }

  /** What may hold. */
  get policies(): Policy[] {
    return this.#possible();
  }

  /** Whether a tag is made once. */
  isImmutable(tag: number): Certainty {
    const found = this.#possible().map((policy) => isImmutable(policy, nameOf(tag)));
    return found.every(Boolean) ? "yes" : found.some(Boolean) ? "maybe" : "no";
  }

  /** Whether a push of a manifest to a tag that may point at these is refused. */
  refusesPush(tag: number, manifest: number, values: ReadonlySet<Place>): Certainty {
    const bound = [...values].flatMap((value) => (value === null ? [...this.#tag(tag).expired] : [value]));
    const conflicts = bound.map((value) => value !== null && value !== manifest);
    if (!conflicts.some(Boolean)) return "no";
    const immutable = this.isImmutable(tag);
    return immutable === "yes" && !conflicts.every(Boolean) ? "maybe" : immutable;
  }

  /** What a tag that does not exist may be bound to. */
  expired(tag: number): ReadonlySet<Place> {
    return this.#tag(tag).expired;
  }

  /** A tag was moved, by something that began at a time. `isCertain`: it was not there already. */
  moved(tag: number, at: number, isCertain: boolean): void {
    const state = this.#tag(tag);
    if (isCertain) state.after = at;
    state.before = Date.now();
    state.mayBeExpired = false;
    state.wasImmutable = true;
  }

  /** A tag was held, or is not held any more; `maybe`: or not. */
  held(tag: number, isHeld: Certainty): void {
    this.#tag(tag).isHeld = isHeld;
  }

  /** Which tags are held. */
  get holds(): Certainty[] {
    return this.#tags.map(({ isHeld }) => isHeld);
  }

  /** A tag came back with its repository, and its hold with it if it was held. */
  holdRestored(tag: number, wasHeld: Certainty): void {
    const state = this.#tag(tag);
    state.isHeld = anyOf([state.isHeld, wasHeld]);
  }

  /** A run may have been confirmed. */
  confirmed(): void {
    this.#isConfirmed = true;
  }

  /** The repository was deleted: what is founded anew has nothing confirmed, and holds nothing. */
  forget(): void {
    this.#isConfirmed = false;
    for (const state of this.#tags) state.isHeld = "no";
  }

  /** Whether retention may have removed a tag by now, where these may exist. */
  mayGo(tag: number, existing: readonly number[]): boolean {
    const { isHeld } = this.#tag(tag);
    return (
      this.#isConfirmed &&
      isHeld !== "yes" &&
      this.#possible().some((each) => this.#goesBy(each, tag, existing))
    );
  }

  /** Notes that retention may have removed a tag that may point at these. */
  mayHaveGone(tag: number, values: ReadonlySet<Place>): void {
    const state = this.#tag(tag);
    const immutable = this.isImmutable(tag);
    if (!values.has(null)) state.mayBeExpired = true;
    if (immutable !== "yes") state.wasImmutable = false;
    if (immutable !== "no") for (const value of values) state.expired.add(value);
  }

  /** A tag that may have pointed at these is not there. Returns what retention certainly removed it from. */
  gone(tag: number, values: ReadonlySet<Place>): number | undefined {
    const state = this.#tag(tag);
    const [value, ...others] = [...values].filter((each) => each !== null);
    if (!state.mayBeExpired || value === undefined || others.length > 0) return undefined;
    if (state.wasImmutable) state.expired = new Set([value]);
    return value;
  }

  /** A client may have removed the tag, too. */
  mayBeDeleted(tag: number): void {
    this.#tag(tag).mayBeExpired = false;
  }

  /** Whether every one of these policies removes a tag in the end that was not moved for long, where these exist. */
  mustGo(tag: number, existing: readonly number[], policies: readonly Policy[]): boolean {
    return (
      this.#tag(tag).isHeld === "no" && policies.every((each) => this.#certainlyGoesBy(each, tag, existing))
    );
  }

  #goesBy({ remove, keep = [] }: Policy, tag: number, existing: readonly number[]): boolean {
    if (remove === undefined || !matchesAny(remove.tags, nameOf(tag))) return false;
    return !keep.some(({ tags, pushedWithin, newest }) => {
      if (!matchesAny(tags, nameOf(tag))) return false;
      const { after, before } = this.#tag(tag);
      if (pushedWithin !== undefined)
        return Date.now() < after + (parseDuration(pushedWithin) ?? 0) - this.#driftMs;
      const rivals = existing.filter((each) => each !== tag && matchesAny(tags, nameOf(each)));
      // The order of tags that were moved at nearly the same time nobody knows.
      const newer = rivals.filter(
        (each) => this.#tag(each).before >= Math.min(after, before) - this.#driftMs,
      );
      return newest === undefined || newer.length < newest;
    });
  }

  #certainlyGoesBy({ remove, keep = [] }: Policy, tag: number, existing: readonly number[]): boolean {
    if (remove === undefined || !matchesAny(remove.tags, nameOf(tag))) return false;
    return !keep.some(({ tags, pushedWithin, newest }) => {
      if (!matchesAny(tags, nameOf(tag))) return false;
      if (pushedWithin !== undefined) return false;
      const rivals = existing.filter((each) => each !== tag && matchesAny(tags, nameOf(each)));
      const newer = rivals.filter((each) => this.#tag(each).after > this.#tag(tag).before + this.#driftMs);
      return newest === undefined || newer.length < newest;
    });
  }

  #tag(tag: number): PolicedTag {
    const state = this.#tags[tag];
    if (state === undefined) throw new Error(`a program has no tag ${tag}`);
    return state;
  }
}
