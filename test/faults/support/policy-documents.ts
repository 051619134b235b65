/** The policy documents of programs, and which of them may hold: a new one is in force everywhere after a minute. */
import { type Policy, policyFor, type Rules } from "../../../src/policy/document.ts";
import type { LocationIndex } from "./program.ts";

/** How long a tag is kept after its push, and a manifest that nothing reaches, where a document says so, in milliseconds. */
export const keptMs = 120_000;

const kept = `${keptMs / 1000}s`;
const immutable = { immutable: ["tag-0"] };
const pushedWithin = { tags: ["*"], pushedWithin: kept };

/** Nothing; a tag that is made once; tags that go; both; and tags of which one stays, with what nothing reaches. */
export const documents: Rules[] = [
  [],
  [{ repositories: ["**"], tags: immutable }],
  [{ repositories: ["**"], keep: [pushedWithin], remove: { tags: ["tag-[12]"] } }],
  [{ repositories: ["**"], tags: immutable, keep: [pushedWithin], remove: { tags: ["tag-[01]"] } }],
  [
    {
      repositories: ["**"],
      tags: immutable,
      keep: [{ tags: ["*"], newest: 1 }],
      remove: { tags: ["tag-[12]"], untaggedAfter: kept },
    },
  ],
];

/** After how long a document is in force everywhere: docs/design.md, "Policies". */
const inForceMs = 60_000;

/** The same where a call may have taken longer than a lease between the reading of a document and the write. */
const inForceLateMs = 200_000;

/** A document that was put. `doneAt`: when that was acknowledged. */
type Put = { document: number; doneAt: number };

/** What a program's trouble so far lets nobody rely on. */
export type Trouble = { any: boolean; ofCatalog: boolean };

/** The documents of one world, in the order in which they were put. */
export class PolicyTimeline {
  readonly #trouble: () => Trouble;
  readonly #puts: Put[] = [{ document: 0, doneAt: 0 }];
  /** The last put of which each location knows, and that each repository's ledger has adopted at least. */
  readonly #known: [number, number] = [0, 0];
  readonly #adopted = new Map<number, number>();

  constructor(trouble: () => Trouble) {
    this.#trouble = trouble;
  }

  /** Whether one was put. */
  get isAny(): boolean {
    return this.#puts.length > 1;
  }

  /** A document is being put. Returns what to call when that was acknowledged. */
  begin(document: number, at: LocationIndex): () => void {
    const put: Put = { document, doneAt: Number.POSITIVE_INFINITY };
    this.#puts.push(put);
    return () => {
      put.doneAt = Date.now();
      this.#known[at] = this.#puts.indexOf(put);
    };
  }

  /** A location acknowledged a write to a repository, whose ledger goes by what the location knows, or by something newer. */
  noteWrite(repository: number, at: LocationIndex): void {
    this.#adopted.set(repository, Math.max(this.#adopted.get(repository) ?? 0, this.#known[at]));
  }

  /** A repository was deleted, and may have to learn of its policy again. */
  forgetRepository(repository: number): void {
    this.#adopted.delete(repository);
  }

  /** A location's isolate ended. */
  restart(at: LocationIndex): void {
    this.#known[at] = 0;
  }

  /** What may hold for a repository. */
  possible(repository: number, name: string): Policy[] {
    const { any, ofCatalog } = this.#trouble();
    const certainMs = any ? inForceLateMs : inForceMs;
    const inForce = ofCatalog
      ? 0
      : this.#puts.findLastIndex(({ doneAt }) => doneAt + certainMs <= Date.now());
    const from = Math.max(inForce, this.#adopted.get(repository) ?? 0, 0);
    return [...new Set(this.#puts.slice(from).map(({ document }) => document))].map((document) =>
      policyFor(documents[document] ?? [], name),
    );
  }

  /** What holds for a repository in the end, when nothing goes wrong any more. */
  last(name: string): Policy[] {
    const lastDone = this.#puts.findLastIndex(({ doneAt }) => Number.isFinite(doneAt));
    return this.#puts.slice(lastDone).map(({ document }) => policyFor(documents[document] ?? [], name));
  }
}
