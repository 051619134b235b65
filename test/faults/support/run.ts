/** What the parts of a run share: the world, its clients, and what they know. */
import type { ManifestContent } from "./contents.ts";
import { Damage } from "./damage.ts";
import { Clients, type Reply } from "./location.ts";
import { cacheName } from "./memory-upstream.ts";
import { checked, RepositoryModel } from "./model.ts";
import { PolicyTimeline } from "./policy-documents.ts";
import {
  type FaultTarget,
  type LocationIndex,
  mostBehindSeconds,
  type Program,
  repositoryCount,
} from "./program.ts";
import type { World } from "./world.ts";

/** A promise of the registry was broken. */
export class Violation extends Error {
  override name = "Violation";
}

/** How long what an isolate itself saw deleted is asked of the ledger, in milliseconds: docs/design.md, "Pull". */
const deletionMemoryMs = 150_000;

/** How long two calls take that stall, in milliseconds: fault-table.ts. */
const lateMs = 140_000;

/** What a client sent, of which it has yet to hear: what to do once it has. */
type Unanswered = { hasEnded: () => boolean; takeIn: () => Promise<void> };

/** What work came to, and which calls to bindings went wrong meanwhile. */
type Counted<T> = { result: T; faults: FaultTarget[] };

/** One run of one program. */
export class Run {
  #unanswered: Unanswered[] = [];
  readonly world: World;
  readonly clients: Clients;
  readonly manifests: ManifestContent[];
  readonly settings: Program["settings"];
  readonly damage = new Damage();
  readonly policies: PolicyTimeline;
  /** Whether an upstream was asked for anything. */
  isCacheUsed = false;
  readonly #models: RepositoryModel[];
  readonly #deletions = [new Map<string, number>(), new Map<string, number>()] as const;
  readonly #changesSeen = [new Map<string, number>(), new Map<string, number>()] as const;

  constructor(world: World, program: Program, waitUntil: (promise: Promise<unknown>) => void) {
    this.world = world;
    this.manifests = world.manifests;
    this.settings = program.settings;
    const { fired } = world.faults;
    this.policies = new PolicyTimeline(() => ({
      any: fired.length > 0,
      ofCatalog: fired.some((target) => target.startsWith("CATALOG")),
    }));
    const graceMs = program.settings.graceSeconds * 1000;
    const driftMs = program.steps.some((step) => step.do === "set ledger clocks")
      ? mostBehindSeconds * 1000
      : 0;
    this.#models = Array.from(
      { length: repositoryCount },
      (_, number) =>
        new RepositoryModel(this.manifests, { graceMs, driftMs }, () =>
          this.policies.possible(number, this.name(number)),
        ),
    );
    const names = this.repositories.map((number) => this.name(number));
    this.clients = new Clients(world, [...names, cacheName], waitUntil);
  }

  /** The name of a repository. */
  name(repository: number): string {
    return `repository-${repository}`;
  }

  /** The numbers of all repositories. */
  get repositories(): number[] {
    return [...this.#models.keys()];
  }

  /** Tells the models of all repositories something. */
  eachModel(tell: (model: RepositoryModel) => void): void {
    for (const model of this.#models) tell(model);
  }

  model(repository: number): RepositoryModel {
    return checked(this.#models[repository], `repository ${repository}`);
  }

  manifest(number: number): ManifestContent {
    return checked(this.manifests[number], `manifest ${number}`);
  }

  /** Notes that a location told a client, which asked at this time, that something is deleted. */
  noteDeletion(at: LocationIndex, digest: string, repository: number, askedAt: number): void {
    this.#deletions[at].set(`${repository} ${digest}`, askedAt);
  }

  /** Notes that a location took a push of it. */
  notePush(at: LocationIndex, digest: string, repository: number): void {
    this.#deletions[at].delete(`${repository} ${digest}`);
  }

  /** Whether a location told a client so lately that something is deleted that it must not be found there. */
  wasDeletedLately(at: LocationIndex, digest: string, repository: number): boolean {
    const deletedAt = this.#deletions[at].get(`${repository} ${digest}`);
    return deletedAt !== undefined && Date.now() < deletedAt + deletionMemoryMs;
  }

  /** Notes that a location told of a tag as it was after one of its changes. */
  noteChange(at: LocationIndex, repository: number, tag: number, change: number): void {
    this.#changesSeen[at].set(`${repository} ${tag}`, change);
  }

  /** The last change of a tag that a location told of. */
  changeSeen(at: LocationIndex, repository: number, tag: number): number {
    return this.#changesSeen[at].get(`${repository} ${tag}`) ?? 0;
  }

  /** A location's isolate ended, and its memory with it. */
  restart(at: LocationIndex): void {
    this.world.restart(at);
    this.policies.restart(at);
    this.#deletions[at].clear();
    this.#changesSeen[at].clear();
  }

  /** Runs work and says which calls to bindings went wrong meanwhile. */
  async counting<T>(work: () => Promise<T>): Promise<Counted<T>> {
    const before = this.world.faults.fired.length;
    const result = await work();
    return { result, faults: this.world.faults.fired.slice(before) };
  }

  /**
   * Does what a client does, and takes in what came of it; where it waits for a call that is under way, once it has
   * ended, beside other steps. `meanwhile` says what is uncertain until then.
   */
  async act<T>(
    work: () => Promise<T>,
    takeIn: (outcome: Counted<T> & { wasHeld: boolean }) => Promise<void>,
    meanwhile: () => void,
  ): Promise<void> {
    const acting: { outcome?: Counted<T>; error?: unknown } = {};
    const act = async () => {
      try {
        acting.outcome = await this.counting(work);
      } catch (error) {
        acting.error = error;
      }
    };
    const end = async (wasHeld: boolean) => {
      if (acting.outcome === undefined) throw acting.error;
      await takeIn({ ...acting.outcome, wasHeld });
    };
    if (await this.world.faults.untilHeld(act)) return end(false);
    meanwhile();
    this.world.trace.push("  it is under way");
    const hasEnded = () => acting.outcome !== undefined || acting.error !== undefined;
    this.#unanswered.push({ hasEnded, takeIn: () => end(true) });
  }

  /** Takes in what came of what was under way, as far as it has ended. */
  async takeInAnswers(): Promise<void> {
    if (this.#unanswered.length === 0) return;
    await this.world.faults.delayed.settle();
    const ended = this.#unanswered.filter((each) => each.hasEnded());
    this.#unanswered = this.#unanswered.filter((each) => !ended.includes(each));
    for (const { takeIn } of ended) await takeIn();
  }

  /** Whether bytes may have been replaced by others for their digest, so that links and rows say the old place. */
  get mayBeReplaced(): boolean {
    const { fired } = this.world.faults;
    return this.damage.isAny || fired.some((target) => target === "r2.head" || target === "r2.get");
  }

  /** How much longer than usual an answer may have been under way, in milliseconds. */
  get stalledMs(): number {
    return this.world.faults.fired.length > 0 ? lateMs : 0;
  }

  /** Whether a client waits for an answer. */
  get isUnanswered(): boolean {
    return this.#unanswered.length > 0;
  }

  /** Fails unless the condition holds. */
  require(condition: boolean, promise: string): asserts condition {
    if (!condition) throw new Violation(promise);
  }

  /** A refusal for a fault of the platform's says when to come back. */
  requireExcused({ status, headers }: Reply, faults: FaultTarget[], what: string): void {
    this.require(status === 503, `${what} is answered with ${status}`);
    this.require(faults.length > 0, `${what} is refused although nothing went wrong`);
    this.require(headers.has("Retry-After"), `${what} is refused without Retry-After`);
  }
}
