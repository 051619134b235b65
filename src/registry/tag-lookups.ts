/**
 * Look-ups of tags in the ledger, batched: many clients that pull one tag at once are one call.
 *
 * For a repository, an isolate has at most one call in flight and one batch waiting. A look-up never joins the call
 * in flight, which may have read the ledger before the look-up began; it joins the waiting batch. So each answer was
 * read after its request arrived, and is linearizable.
 */
import type { RepositoryApi, ResolvedTag } from "../objects/api.ts";
import { Unreachable } from "../objects/stubs.ts";
import type { RepositoryName, Tag } from "../oci/name.ts";
import type { WaitUntil } from "./registry.ts";

type Answers = Map<Tag, ResolvedTag | null>;
type Batch = { tags: Set<Tag>; answers: Promise<Answers | "failed"> };
type Lane = { inFlight: Promise<unknown> | undefined; waiting: Batch | undefined };

/**
 * How long a look-up waits for another request's call before it makes its own, in milliseconds. A request that ends
 * takes its I/O with it, and what it promised may then never settle.
 */
const patienceMs = 2_000;

/** The look-ups of one isolate. */
export class TagLookups {
  readonly #ledger: (name: RepositoryName) => RepositoryApi;
  readonly #lanes = new Map<RepositoryName, Lane>();

  constructor(ledger: (name: RepositoryName) => RepositoryApi) {
    this.#ledger = ledger;
  }

  /**
   * Resolves a tag; `null` when it does not exist.
   *
   * @throws Unreachable when the ledger is.
   */
  async resolve(repository: RepositoryName, tag: Tag, waitUntil: WaitUntil): Promise<ResolvedTag | null> {
    const lane = this.#lanes.get(repository) ?? { inFlight: undefined, waiting: undefined };
    this.#lanes.set(repository, lane);
    const batch = this.#join(repository, lane, tag, waitUntil);
    const answers = await withPatience(batch.answers);
    if (answers === "failed") throw new Unreachable("resolveTags");
    const answer = answers?.get(tag);
    if (answer !== undefined) return answer;
    const [own] = await this.#ledger(repository).resolveTags([tag]);
    return own ?? null;
  }

  /** The batch that will answer for this tag. Who opens one also sends it, within its own request. */
  #join(repository: RepositoryName, lane: Lane, tag: Tag, waitUntil: WaitUntil): Batch {
    if (lane.waiting !== undefined) {
      lane.waiting.tags.add(tag);
      return lane.waiting;
    }
    const { promise, resolve } = Promise.withResolvers<Answers | "failed">();
    const batch: Batch = { tags: new Set([tag]), answers: promise };
    lane.waiting = batch;
    waitUntil(this.#send(repository, lane, batch).then(resolve, () => resolve("failed")));
    return batch;
  }

  async #send(repository: RepositoryName, lane: Lane, batch: Batch): Promise<Answers> {
    if (lane.inFlight !== undefined) await withPatience(lane.inFlight);
    // From here on nobody joins: what arrives later opens the next batch.
    if (lane.waiting === batch) lane.waiting = undefined;
    const tags = [...batch.tags];
    const call = this.#ledger(repository).resolveTags(tags);
    const settled = call.then(
      () => undefined,
      () => undefined,
    );
    lane.inFlight = settled;
    try {
      const resolved = await call;
      return new Map(tags.map((tag, index) => [tag, resolved[index] ?? null]));
    } finally {
      if (lane.inFlight === settled) lane.inFlight = undefined;
      if (lane.inFlight === undefined && lane.waiting === undefined) this.#lanes.delete(repository);
    }
  }
}

/** Waits for a promise of another request, but not for ever; `undefined` when it took too long. */
async function withPatience<T>(promise: Promise<T>): Promise<T | undefined> {
  const { promise: timeout, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), patienceMs);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
