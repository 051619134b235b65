/**
 * What one repository must hold, as its clients know it: plain data.
 *
 * Where an answer was lost, the model holds both outcomes possible, until a read that the ledger decided tells. What
 * nothing references may be collected once its grace is over.
 */

import type { Policy } from "../../../src/policy/document.ts";
import { allOf, anyOf, type Certainty, choose } from "./certainty.ts";
import type { ManifestContent } from "./contents.ts";
import { blobs, type Content } from "./contents.ts";
import { PolicedTags } from "./policed-tags.ts";
import { keptMs } from "./policy-documents.ts";
import { tagCount, type WriteStep } from "./program.ts";

/**
 * A blob link. `keptUntil`: collection leaves it alone until then; `promisedUntil`: also one that does not wait for the
 * grace; `leasedUntil`: even if a manifest came, which was last at `usedAt`. `mayAppear`: an upload may yet be finished.
 */
type BlobState = {
  linked: Certainty;
  keptUntil: number;
  promisedUntil: number;
  leasedUntil: number;
  usedAt: number;
  goneAt: number;
  mayAppear: boolean;
};
/** `reachedAt`: when something last certainly reached it, or it was stored. `deleted`: the last deletion of it alone. */
type ManifestState = { present: Certainty; goneAt: number; reachedAt: number; deleted?: Deleted | undefined };

/** When a manifest was deleted, at the earliest, and the tags that went with it. */
type Deleted = { at: number; tags: number[] };

/** How long a blob that was pushed is kept in any case, and how long it waits for its manifest: see `LEASE_TTL`. */
const leaseMs = 60_000;
const promiseMs = 5 * leaseMs;

/** What a repository had when it was deleted as a whole, if it was: not before `after`, and not after `before`. */
type DeletedState = {
  isDeleted: Certainty;
  after: number;
  before: number;
  present: Certainty[];
  linked: Certainty[];
  tags: Set<number | null>[];
  held: Certainty[];
};

/** How long what is scheduled may differ from what is said, in milliseconds: a request takes a while. */
const slackMs = 5_000;

/** The statuses that a write may be answered with. */
export type Expected = readonly number[];

/** One repository. */
export class RepositoryModel {
  readonly #graceMs: number;
  readonly #driftMs: number;
  readonly #manifests: ManifestContent[];
  /** How many collections that do not wait for the grace are under way, and when the last ended. */
  #endings = 0;
  #graceEndedAt = 0;
  readonly #present: ManifestState[];
  readonly #blobs: BlobState[];
  /** Where each tag may point; `null`: it may not exist. */
  readonly #tags: Set<number | null>[];
  /** Where each tag may have pointed, from one change to the next. */
  readonly #tagHistory: ReadonlySet<number | null>[][];
  /** Whether something was pushed since the repository was deleted last. */
  #founded: Certainty = "no";
  #deleted: DeletedState | undefined;
  /** What policies do to the tags. */
  readonly policed: PolicedTags;
  /** What retention certainly removed tags from, and nobody has restored since. */
  readonly #expiredFrom = new Map<number, number>();

  /** `driftMs`: how far the ledger's clock may jump. `policies`: which may hold. */
  constructor(
    manifests: ManifestContent[],
    { graceMs, driftMs }: { graceMs: number; driftMs: number },
    policies: () => Policy[],
  ) {
    this.#graceMs = graceMs;
    this.#driftMs = driftMs;
    this.policed = new PolicedTags(policies, driftMs);
    this.#manifests = manifests;
    this.#present = manifests.map(() => ({ present: "no", goneAt: 0, reachedAt: 0 }));
    this.#blobs = blobs.map((_: Content) => ({
      linked: "no",
      keptUntil: 0,
      promisedUntil: 0,
      leasedUntil: 0,
      usedAt: 0,
      goneAt: 0,
      mayAppear: false,
    }));
    this.#tags = Array.from({ length: tagCount }, () => new Set([null]));
    this.#tagHistory = this.#tags.map((values) => [values]);
  }

  // ── What there is ────────────────────────────────────────────────────────────────────────────────────────────

  manifest(number: number): Certainty {
    return this.#manifestState(number).present;
  }

  blob(number: number): Certainty {
    if (this.referenced(number) === "yes") return "yes";
    const { linked, keptUntil, mayAppear } = this.#blobState(number);
    if (linked === "yes") return Date.now() > keptUntil ? "maybe" : "yes";
    return mayAppear ? "maybe" : linked;
  }

  /** Whether a manifest of the repository references the blob. */
  referenced(blob: number): Certainty {
    return anyOf(this.#referencing(blob).map((number) => this.manifest(number)));
  }

  tag(number: number): ReadonlySet<number | null> {
    return this.#tags[number] ?? new Set([null]);
  }

  /** The first of the tag's changes, from one on, after which it may have pointed there; `undefined`: none. */
  changeTo(tag: number, manifest: number, from: number): number | undefined {
    const index = this.#tagHistory[tag]?.findIndex((values, at) => at >= from && values.has(manifest)) ?? -1;
    return index < 0 ? undefined : index;
  }

  /** The tag's last change. */
  lastChange(tag: number): number {
    return (this.#tagHistory[tag]?.length ?? 0) - 1;
  }

  /** When what is not there any more was last known to be there, or to have been deleted. */
  goneAt(what: "manifest" | "blob", number: number): number {
    return what === "manifest" ? this.#manifestState(number).goneAt : this.#blobState(number).goneAt;
  }

  /** Whether it is there, or ever was. */
  isKnown(what: "manifest" | "blob", number: number): boolean {
    const certainty = what === "manifest" ? this.manifest(number) : this.blob(number);
    return certainty !== "no" || this.goneAt(what, number) > 0;
  }

  // ── What a write must be answered with ───────────────────────────────────────────────────────────────────────

  /** `source`: whether there is what a mount mounts. */
  expected(step: WriteStep, source: Certainty): Expected {
    switch (step.do) {
      case "push blob":
        return [201];
      case "mount":
        return choose(source, [201], [202]);
      case "put manifest": {
        const { kind, references } = this.#content(step.manifest);
        const states = references.map((each) => (kind === "image" ? this.blob(each) : this.manifest(each)));
        const complete = allOf(states);
        const stored =
          this.manifest(step.manifest) === "maybe" && complete === "no"
            ? [201, 404]
            : choose(complete, [201], [404]);
        if (step.tag === null) return stored;
        return choose(this.policed.refusesPush(step.tag, step.manifest, this.tag(step.tag)), [409], stored);
      }
      case "delete tag": {
        const deleted = choose(this.policed.isImmutable(step.tag), [409], [202]);
        return choose(this.#tagExists(step.tag), deleted, [404]);
      }
      case "delete manifest":
        return choose(
          this.#isBound(step.manifest),
          [409],
          choose(this.manifest(step.manifest), [202], [404]),
        );
      case "delete blob": {
        const linked = this.blob(step.blob);
        const referenced = this.referenced(step.blob);
        return [...choose(linked, choose(referenced, [405], [202]), [404])];
      }
    }
  }

  /** Whether the repository has a tag that must stay. */
  get isBound(): Certainty {
    return anyOf(
      [...this.#tags.keys()].map((tag) => allOf([this.policed.isImmutable(tag), this.#tagExists(tag)])),
    );
  }

  /** Whether a tag that must stay leads to a manifest. */
  #isBound(manifest: number): Certainty {
    return anyOf(
      [...this.#tags.entries()].map(([tag, values]) => {
        const leading = [...values].map((value) => (value === null ? "no" : this.#leads(value, manifest)));
        const leads = leading.every((each) => each === leading[0]) ? leading[0] : "maybe";
        return allOf([this.policed.isImmutable(tag), leads ?? "no"]);
      }),
    );
  }

  #leads(from: number, to: number): Certainty {
    if (from === to) return "yes";
    const { kind, references } = this.#content(from);
    if (kind === "image") return "no";
    return anyOf(
      references.map((each) => (each === to ? "yes" : allOf([this.manifest(each), this.#leads(each, to)]))),
    );
  }

  #tagExists(tag: number): Certainty {
    const values = this.tag(tag);
    return values.has(null) ? (values.size === 1 ? "no" : "maybe") : "yes";
  }

  // ── What a write changed ─────────────────────────────────────────────────────────────────────────────────────

  /** Takes in an answer that was not an error of the registry's. `at`: when the request was sent. */
  apply(step: WriteStep, status: number, at: number): void {
    switch (step.do) {
      case "push blob":
      case "mount":
        if (status !== 201) return;
        // It may have gone while the answer was under way.
        if (this.goneAt("blob", step.blob) > at) {
          this.applyPerhaps(step, at);
          return;
        }
        this.#link(step.blob, at);
        this.#founded = "yes";
        return;
      case "put manifest":
        if (status !== 201) return;
        this.#fulfil(step.manifest);
        this.#store(step.manifest, step.tag, at);
        this.#founded = "yes";
        return;
      case "delete tag":
        if (status === 409) return;
        this.policed.mayBeDeleted(step.tag);
        this.#setTag(step.tag, new Set([null]));
        return;
      case "delete manifest":
        if (status === 409) return;
        this.#remove(step.manifest, status === 202, at);
        return;
      case "delete blob":
        if (status !== 405) this.#blobIsGone(step.blob);
    }
  }

  /** Takes in that a write may have been done, or not. */
  applyPerhaps(step: WriteStep, at: number): void {
    switch (step.do) {
      case "push blob":
      case "mount": {
        const state = this.#blobState(step.blob);
        if (this.blob(step.blob) !== "yes") state.linked = "maybe";
        if (this.#founded === "no") this.#founded = "maybe";
        return;
      }
      case "put manifest": {
        this.#fulfil(step.manifest);
        const state = this.#manifestState(step.manifest);
        if (state.present === "no") {
          state.present = "maybe";
          state.reachedAt = at;
        }
        if (this.#founded === "no") this.#founded = "maybe";
        if (step.tag === null) return;
        this.policed.moved(step.tag, at, false);
        this.tagPerhaps(step.tag, step.manifest);
        return;
      }
      case "delete tag":
        this.policed.mayBeDeleted(step.tag);
        this.tagPerhaps(step.tag, null);
        return;
      case "delete manifest": {
        const state = this.#manifestState(step.manifest);
        if (state.present === "no") return;
        if (state.present === "yes") this.#keepReferences(step.manifest, at);
        state.present = "maybe";
        state.goneAt = Date.now();
        state.deleted = undefined;
        for (const [tag, values] of this.#tags.entries()) {
          if (!values.has(step.manifest)) continue;
          this.policed.mayBeDeleted(tag);
          this.tagPerhaps(tag, null);
        }
        return;
      }
      case "delete blob": {
        const state = this.#blobState(step.blob);
        if (this.referenced(step.blob) === "yes" || state.linked === "no") return;
        state.linked = "maybe";
        state.goneAt = Date.now();
      }
    }
  }

  /** An upload was cut short as it was closed, or is under way; it may yet be finished, or its link be made again. */
  uploadMayFinish(blob: number): void {
    this.#blobState(blob).mayAppear = true;
  }

  /** A tag points at one of these; `null`: or does not exist. */
  tagIsOneOf(tag: number, values: (number | null)[]): void {
    this.#setTag(tag, new Set(values));
  }

  /** Adds a place where a tag may point. */
  tagPerhaps(tag: number, value: number | null): void {
    this.#setTag(tag, new Set([...this.tag(tag), value]));
  }

  // ── The repository as a whole ────────────────────────────────────────────────────────────────────────────────

  /** Whether the repository exists. */
  get exists(): Certainty {
    return this.#founded === "no" && this.#blobs.some(({ mayAppear }) => mayAppear) ? "maybe" : this.#founded;
  }

  /** Whether the last deletion can be undone by a request that was sent at this time. */
  isRestorable(sentAt: number): Certainty {
    if (this.#deleted === undefined) return "no";
    const { isDeleted, after, before } = this.#deleted;
    const unsureMs = slackMs + this.#driftMs;
    if (sentAt - before > this.#graceMs + unsureMs) return "no";
    const mayBeOver = Date.now() - after > this.#graceMs - unsureMs || this.graceMayHaveEndedSince(after);
    return mayBeOver ? "maybe" : isDeleted;
  }

  /** The repository was deleted, if it existed: nothing is there any more. `at`: when the request was sent. */
  deleteAll(at: number): void {
    this.#setAside(at, this.exists);
    for (const state of this.#present) {
      if (state.present !== "no") state.goneAt = Date.now();
      state.present = "no";
      state.deleted = undefined;
    }
    for (const number of this.#blobs.keys()) this.#blobIsGone(number);
    for (const tag of this.#tags.keys()) this.#isDeletedWithAll(tag, new Set([null]));
    this.policed.forget();
    this.#founded = "no";
  }

  /** The repository may have been deleted. */
  deleteAllPerhaps(at: number): void {
    this.#setAside(at, this.exists === "no" ? "no" : "maybe");
    for (const state of this.#present) {
      state.deleted = undefined;
      if (state.present === "no") continue;
      state.present = "maybe";
      state.goneAt = Date.now();
    }
    for (const state of this.#blobs) {
      if (state.linked === "no") continue;
      state.linked = "maybe";
      state.goneAt = Date.now();
    }
    for (const tag of this.#tags.keys()) this.#isDeletedWithAll(tag, new Set([...this.tag(tag), null]));
    if (this.#founded === "yes") this.#founded = "maybe";
  }

  /** Tags that go with a repository, and are restored with it, are not for retention to explain. */
  #isDeletedWithAll(tag: number, values: Set<number | null>): void {
    this.policed.mayBeDeleted(tag);
    this.#expiredFrom.delete(tag);
    this.#setTag(tag, values);
  }

  /** What the repository had when it was deleted is there again, or may be; what came meanwhile stays. `at`: when asked. */
  restore(certainty: "yes" | "maybe", at: number): void {
    const deleted = this.#deleted;
    if (deleted === undefined) return;
    const { present, linked, tags } = deleted;
    for (const [number, before] of present.entries()) {
      const state = this.#manifestState(number);
      const isBack = allOf([before, certainty]);
      state.present = anyOf([state.present, isBack]);
      if (isBack !== "no") state.reachedAt = Math.max(state.reachedAt, at);
      state.deleted = undefined;
      if (this.#content(number).kind !== "image") continue;
      for (const each of this.#content(number).references)
        this.#blobState(each).linked = anyOf([this.#blobState(each).linked, isBack]);
    }
    // What nothing referenced may have been unlinked before, and may be so again.
    for (const [number, before] of linked.entries()) {
      const state = this.#blobState(number);
      if (before !== "no" && state.linked === "no") state.linked = "maybe";
    }
    for (const [tag, before] of tags.entries()) {
      const now = this.tag(tag);
      if (!now.has(null)) continue;
      const values = [...now].filter((value) => value !== null || certainty === "maybe");
      // A tag that retention removed meanwhile may be bound to what it was.
      const bound = this.policed.expired(tag).size > 1 ? [null] : [];
      this.policed.moved(tag, at, certainty === "yes" && now.size === 1);
      const isBack = certainty === "yes" && now.size === 1 && !before.has(null) && bound.length === 0;
      this.policed.holdRestored(tag, allOf([deleted.held[tag] ?? "no", isBack ? "yes" : "maybe"]));
      this.#setTag(tag, new Set([...values, ...before, ...bound]));
    }
    if (certainty === "maybe") {
      if (this.#founded === "no") this.#founded = "maybe";
      deleted.isDeleted = "maybe";
      return;
    }
    this.#founded = "yes";
    this.#deleted = undefined;
  }

  /** Nothing can be restored: it was too long ago, or there was nothing. */
  cannotRestore(): void {
    this.#deleted = undefined;
  }

  #setAside(at: number, isDeleted: Certainty): void {
    if (isDeleted === "no") return;
    const now: DeletedState = {
      isDeleted,
      after: at,
      before: Date.now(),
      present: this.#present.map(({ present }) => present),
      linked: [...this.#blobs.keys()].map((number) => this.blob(number)),
      tags: this.#tags.map((values) => new Set(values)),
      held: this.policed.holds,
    };
    // If it did not exist, what was deleted before is still what can be restored.
    const before = isDeleted === "maybe" ? this.#deleted : undefined;
    this.#deleted = before === undefined ? now : eitherOf(before, now);
  }

  // ── What reads tell ──────────────────────────────────────────────────────────────────────────────────────────

  /** The ledger says where a tag points. */
  tagSeen(tag: number, value: number | null): void {
    if (value === null) {
      const from = this.policed.gone(tag, this.tag(tag));
      if (from !== undefined) this.#expiredFrom.set(tag, from);
    }
    this.#setTag(tag, new Set([value]));
    if (value !== null) this.manifestSeen(value, true);
  }

  /** The ledger says whether a manifest is there. What a manifest references is there, too. */
  manifestSeen(number: number, isPresent: boolean): void {
    const state = this.#manifestState(number);
    if (state.present === "maybe" && !isPresent) state.goneAt = Date.now();
    state.present = isPresent ? "yes" : "no";
    if (isPresent) return;
    for (const values of this.#tags) {
      if (values.delete(number) && values.size === 0) values.add(null);
    }
  }

  /** The ledger says whether a blob is linked. `renewedAt`: and keeps it for a while from then. */
  blobSeen(number: number, isLinked: boolean, renewedAt?: number): void {
    const state = this.#blobState(number);
    if (!isLinked) {
      this.#blobIsGone(number);
      return;
    }
    state.linked = "yes";
    // What has more than half of its grace left is not written again.
    if (renewedAt !== undefined) this.#keep(state, renewedAt, this.#graceMs / 2);
  }

  // ── Retention ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Time has passed, and retention may have done its work. */
  retentionMayRun(): void {
    const existing = this.#existingTags();
    for (const tag of existing) {
      if (!this.policed.mayGo(tag, existing)) continue;
      this.policed.mayHaveGone(tag, this.tag(tag));
      if (!this.tag(tag).has(null)) this.tagPerhaps(tag, null);
    }
    const removesUntagged = this.policed.policies.some(({ remove }) => remove?.untaggedAfter !== undefined);
    const now = Date.now();
    for (const [number, state] of this.#present.entries()) {
      if (state.present === "yes" && this.#isReached(number)) state.reachedAt = now;
      if (state.present === "no" || !removesUntagged) continue;
      if (now < state.reachedAt + Math.max(keptMs, this.#graceMs) - this.#driftMs) continue;
      if (state.present === "yes") this.#keepReferences(number, state.reachedAt);
      state.present = "maybe";
      state.goneAt = now;
      state.deleted = undefined;
    }
  }

  /** Whether something certainly reaches a manifest, and so keeps it. */
  #isReached(manifest: number): boolean {
    const isTagged = this.#tags.some((values) => values.size === 1 && values.has(manifest));
    const { subject } = this.#content(manifest);
    const isListed = this.#manifests.some(
      ({ kind, references }, number) =>
        kind === "index" && references.includes(manifest) && this.manifest(number) === "yes",
    );
    return isTagged || isListed || (subject !== undefined && this.manifest(subject) === "yes");
  }

  #existingTags(): number[] {
    return [...this.#tags.keys()].filter((tag) => this.#tagExists(tag) !== "no");
  }

  /** The tags that are there although every one of these policies removes them. */
  tagsThatMustGo(policies: readonly Policy[]): number[] {
    const existing = this.#existingTags();
    return existing.filter(
      (tag) => this.#tagExists(tag) === "yes" && this.policed.mustGo(tag, existing, policies),
    );
  }

  /** Where a tag pointed that retention has removed, if it must be possible to restore it. */
  mustComeBack(tag: number): number | undefined {
    const from = this.#expiredFrom.get(tag);
    const isGone = this.#tagExists(tag) === "no";
    return from !== undefined && isGone && this.manifest(from) === "yes" ? from : undefined;
  }

  /** A tag was restored. */
  tagRestored(tag: number, manifest: number, at: number): void {
    this.#store(manifest, tag, at);
  }

  /** Whether a deleted manifest must be restorable; `tags`: and those that come back with it. */
  restorable(manifest: number): { certainty: Certainty; tags: number[] } {
    const { present, deleted } = this.#manifestState(manifest);
    if (present === "yes") return { certainty: "yes", tags: [] };
    const { kind, references } = this.#content(manifest);
    const states = references.map((each) => (kind === "image" ? this.blob(each) : this.manifest(each)));
    const isKept = deleted !== undefined && Date.now() < deleted.at + this.#graceMs - slackMs - this.#driftMs;
    if (!isKept || this.graceMayHaveEndedSince(deleted.at) || allOf(states) !== "yes" || present !== "no")
      return { certainty: "maybe", tags: [] };
    const tags = deleted.tags.filter(
      (tag) =>
        this.#tagExists(tag) === "no" && this.policed.refusesPush(tag, manifest, this.tag(tag)) === "no",
    );
    return { certainty: "yes", tags };
  }

  /** A manifest was restored, with these tags. */
  manifestRestored(manifest: number, tags: readonly number[], at: number): void {
    this.#store(manifest, null, at);
    for (const tag of tags) this.#store(manifest, tag, at);
  }

  /** Whether a collection that does not wait for the grace was under way since then. */
  graceMayHaveEndedSince(time: number): boolean {
    return this.#endings > 0 || this.#graceEndedAt > time;
  }

  /** A collection begins that does not wait for the grace. */
  graceBeginsToEnd(): void {
    this.#endings++;
    this.#endGrace();
  }

  /** It has ended, or was cut short. */
  graceHasEnded(): void {
    this.#endings--;
    this.#graceEndedAt = Date.now();
    this.#endGrace();
  }

  /** Every upload has ended one way or the other. */
  uploadsSettled(): void {
    for (const [number, state] of this.#blobs.entries()) {
      if (state.mayAppear && this.blob(number) === "maybe" && state.linked === "no") state.linked = "maybe";
      state.mayAppear = false;
    }
  }

  // ── Within ───────────────────────────────────────────────────────────────────────────────────────────────────

  #link(blob: number, at: number): void {
    const state = this.#blobState(blob);
    state.linked = "yes";
    state.leasedUntil = Math.max(state.leasedUntil, at + leaseMs);
    // The manifest of somebody else may have used it up while the answer was under way.
    const isUsed = state.usedAt >= at;
    const promisedUntil = isUsed
      ? state.leasedUntil
      : at + Math.min(promiseMs, this.#graceMs) - this.#driftMs;
    state.promisedUntil = Math.max(state.promisedUntil, promisedUntil);
    state.keptUntil = Math.max(state.keptUntil, state.promisedUntil);
    this.#keep(state, at, this.#graceMs);
  }

  /** Keeps a blob for a time from what was asked for then, unless a collection that does not wait may have come since. */
  #keep(state: BlobState, at: number, milliseconds: number): void {
    if (this.#endings > 0 || at <= this.#graceEndedAt) return;
    state.keptUntil = Math.max(state.keptUntil, at + milliseconds - this.#driftMs);
  }

  #endGrace(): void {
    for (const state of this.#blobs) state.keptUntil = Math.min(state.keptUntil, state.promisedUntil);
  }

  /** A manifest came, or may have, that was not there: who pushed what it names has what they pushed it for. */
  #fulfil(manifest: number): void {
    const { kind, references } = this.#content(manifest);
    if (kind !== "image" || this.manifest(manifest) === "yes") return;
    for (const each of references) {
      const state = this.#blobState(each);
      state.usedAt = Date.now();
      state.promisedUntil = Math.min(state.promisedUntil, state.leasedUntil);
    }
  }

  #store(manifest: number, tag: number | null, at: number): void {
    const { kind, references } = this.#content(manifest);
    if (this.manifest(manifest) === "no") {
      for (const each of references) {
        if (kind === "image") this.#blobState(each).linked = "yes";
        else this.#manifestState(each).present = "yes";
      }
    }
    const state = this.#manifestState(manifest);
    // It may have been there for long, or have been removed and be new.
    if (state.present === "no") state.reachedAt = at;
    state.present = "yes";
    if (tag === null) return;
    this.policed.moved(tag, at, !this.tag(tag).has(manifest));
    this.#expiredFrom.delete(tag);
    this.#setTag(tag, new Set([manifest]));
  }

  #remove(manifest: number, wasPresent: boolean, at: number): void {
    if (wasPresent) this.#keepReferences(manifest, at);
    const state = this.#manifestState(manifest);
    if (state.present !== "no") state.goneAt = Date.now();
    state.present = "no";
    const tags = [...this.#tags.keys()].filter((tag) => {
      const values = this.tag(tag);
      return values.size === 1 && values.has(manifest);
    });
    state.deleted = wasPresent ? { at, tags } : undefined;
    for (const [tag, values] of this.#tags.entries()) {
      if (!values.has(manifest)) continue;
      this.policed.mayBeDeleted(tag);
      this.#setTag(tag, new Set([...[...values].filter((value) => value !== manifest), null]));
    }
  }

  /** What a manifest referenced is there, and is kept for the grace from when the manifest went. */
  #keepReferences(manifest: number, at: number): void {
    const { kind, references } = this.#content(manifest);
    if (kind !== "image") return;
    for (const each of references) {
      const state = this.#blobState(each);
      state.linked = "yes";
      this.#keep(state, at, this.#graceMs);
    }
  }

  #blobIsGone(number: number): void {
    const state = this.#blobState(number);
    if (state.linked !== "no") state.goneAt = Date.now();
    state.linked = "no";
  }

  #setTag(tag: number, values: Set<number | null>): void {
    this.#tags[tag] = values;
    this.#tagHistory[tag]?.push(new Set(values));
  }

  #referencing(blob: number): number[] {
    return this.#manifests.flatMap(({ kind, references }, number) =>
      kind === "image" && references.includes(blob) ? [number] : [],
    );
  }

  #content(number: number): ManifestContent {
    return checked(this.#manifests[number], `manifest ${number}`);
  }

  #manifestState(number: number): ManifestState {
    return checked(this.#present[number], `manifest ${number}`);
  }

  #blobState(number: number): BlobState {
    return checked(this.#blobs[number], `blob ${number}`);
  }
}

/** What was deleted, if nobody knows which of the two it was. */
function eitherOf(one: DeletedState, other: DeletedState): DeletedState {
  const either = (first: Certainty[], second: Certainty[]) =>
    first.map((certainty, number) => (certainty === second[number] ? certainty : "maybe"));
  return {
    isDeleted: "maybe",
    after: Math.min(one.after, other.after),
    before: Math.max(one.before, other.before),
    present: either(one.present, other.present),
    linked: either(one.linked, other.linked),
    tags: one.tags.map((values, tag) => new Set([...values, ...(other.tags[tag] ?? [])])),
    held: either(one.held, other.held),
  };
}

/** What is there, for numbers that the program has. */
export function checked<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`a program has no ${what}`);
  return value;
}
