/**
 * What policies do to the tags there are, for whoever may pull. Each answer takes all tags into account, so it is kept
 * for a few seconds while nothing changes, and no longer than it is true: questions by the hundred do not keep the
 * ledger busy.
 */
import type { Tag } from "../../oci/reference.ts";
import type { Policy } from "../../policy/document.ts";
import { refusedTag } from "../../policy/enforcement.ts";
import type { Verdict } from "../../policy/retention.ts";
import { second } from "../../units.ts";
import { readRows } from "../sql.ts";
import type { LedgerHost } from "./feature.ts";
import type { Retention } from "./retention.ts";

/** How long an answer is kept at most, in milliseconds. */
const keptMs = 10 * second;

/** How many tags a list has at most. */
const mostListed = 100;

/** `holdsUntil`: when it changes by itself, at the earliest, in milliseconds since the epoch. */
type Computed<T> = { answer: T; holdsUntil?: number };

type Kept<T> = { key: string; until: number; answer: T };

/** The answers. */
export class Explanations {
  readonly #host: LedgerHost;
  readonly #retention: Retention;
  #verdicts: Kept<ReadonlyMap<string, Verdict>> | undefined;
  #refused: Kept<Tag[]> | undefined;

  constructor(host: LedgerHost, retention: Retention) {
    this.#host = host;
    this.#retention = retention;
  }

  /** What becomes of a tag; `undefined` if it does not exist. */
  verdict(policy: Policy, tag: Tag): Verdict | undefined {
    this.#verdicts = this.#keep(this.#verdicts, policy, () => {
      const verdicts = this.#retention.verdicts(policy).map(({ state: _, ...verdict }) => verdict);
      let holdsUntil = Number.POSITIVE_INFINITY;
      for (const verdict of verdicts)
        if ("untilMs" in verdict) holdsUntil = Math.min(holdsUntil, verdict.untilMs ?? holdsUntil);
      return { answer: new Map(verdicts.map((verdict) => [verdict.tag, verdict])), holdsUntil };
    });
    return this.#verdicts.answer.get(tag);
  }

  /** The first tags that could not be made today. */
  refusedTags(policy: Policy): Tag[] {
    this.#refused = this.#keep(this.#refused, policy, () => ({
      answer: readRows<{ tag: Tag }>(this.#host.sql, "SELECT tag FROM tags ORDER BY tag")
        .map(({ tag }) => tag)
        .filter((tag) => refusedTag(policy, tag) !== undefined)
        .slice(0, mostListed),
    }));
    return this.#refused.answer;
  }

  #keep<T>(kept: Kept<T> | undefined, policy: Policy, compute: () => Computed<T>): Kept<T> {
    const { revision, clock } = this.#host;
    const key = `${revision.value} ${JSON.stringify(policy)}`;
    if (kept?.key === key && clock.now() < kept.until) return kept;
    const { answer, holdsUntil = Number.POSITIVE_INFINITY } = compute();
    return { key, until: Math.min(clock.now() + keptMs, holdsUntil), answer };
  }
}
