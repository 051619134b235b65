/** A ledger's transactions that are about policies, but for those that pushes and deletions share with them. */
import { log } from "../../log.ts";
import { failure, type Result } from "../../oci/errors.ts";
import type { Origin } from "../../oci/event.ts";
import type { Digest, Tag } from "../../oci/reference.ts";
import type { AppliedPolicy } from "../../policy/document.ts";
import type { HeldTag, Policed, PolicyReport, Trial, WaitingRun } from "../../rpc/policies-api.ts";
import type { EndedGeneration } from "../../rpc/upkeep.ts";
import { LedgerPages } from "./pages.ts";
import { freedWithout } from "./tag-states.ts";

/** How many tags a report lists at most, of each kind. */
const mostListed = 100;

/** The object with these transactions; see {@link Policed} for what each does. */
export abstract class PolicedLedger
  extends LedgerPages
  implements Omit<Policed, "deleteManifest" | "deleteTag">
{
  async deleteRepository(
    origin: Origin,
    policy: AppliedPolicy | undefined,
  ): Promise<Result<EndedGeneration>> {
    if (this.meta === undefined || !this.exists) return failure("NAME_UNKNOWN");
    const { meta } = this;
    const { guarded, generations, retention } = this.parts;
    const deleted = this.change(undefined, (tx) =>
      guarded.removeAll(tx, policy, () => {
        retention.stopWaiting(tx);
        return generations.end(tx, meta, origin);
      }),
    );
    if (!deleted.ok) return deleted;
    // It is true once the transaction is on disk.
    const isStored = this.ctx.storage.sync();
    const told = { repository: meta.name, actor: origin.actor };
    this.ctx.waitUntil(isStored.then(() => log("info", "repository deleted", told)));
    return deleted;
  }

  async overrideTag(tag: Tag, digest: Digest | undefined, reason: string, origin: Origin): Promise<Result> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.guarded.override(tx, tag, digest, reason, origin));
  }

  async adoptPolicy(policy: AppliedPolicy): Promise<void> {
    if (this.exists) this.change(undefined, (tx) => this.parts.policies.adopt(tx, policy));
  }

  async tryPolicy(tried: AppliedPolicy, limit: number): Promise<Result<{ trial: Trial }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const { retention, policies } = this.parts;
    const policy = policies.holding(tried.policy);
    const verdicts = retention.verdicts(policy);
    const going = verdicts.filter(({ stays }) => !stays);
    const staying = verdicts.filter(({ stays }) => stays);
    const names = new Set(going.map(({ tag }) => tag));
    const { ttlMs } = policies.untaggedTtlBy(policy);
    const waits = retention.waitReason(policy, going.length, verdicts.length);
    const states = verdicts.map(({ state }) => state);
    const trial: Trial = {
      stays: staying.length,
      goes: going.length,
      tags: [...going, ...staying].slice(0, limit).map(({ state, ...verdict }) => {
        return { ...verdict, digest: state.digest, pushedAtMs: state.pushedAtMs };
      }),
      ...(ttlMs === undefined ? {} : { freed: freedWithout(this.sql, states, names) }),
      ...(waits === undefined ? {} : { waits }),
    };
    return { ok: true, trial };
  }

  async explainPolicy(
    explained: AppliedPolicy,
    tag: Tag | undefined,
  ): Promise<Result<{ report: PolicyReport }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    const { explanations, policies } = this.parts;
    const policy = policies.holding(explained.policy);
    const { waiting, last: lastRun } = this.parts.runs;
    const { nextRunAtMs } = policies;
    const verdict = tag === undefined ? undefined : explanations.verdict(policy, tag);
    const report: PolicyReport = {
      policy,
      ...(waiting === undefined ? {} : { waiting }),
      ...(lastRun === undefined ? {} : { lastRun }),
      ...(nextRunAtMs === undefined ? {} : { nextRunAtMs }),
      held: this.parts.held.list(mostListed),
      refusedTags: explanations.refusedTags(policy),
      ...(verdict === undefined ? {} : { verdict }),
    };
    return { ok: true, report };
  }

  async confirmRun(): Promise<Result<WaitingRun>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.retention.confirm(tx));
  }

  async holdTag(tag: Tag, reason: string, actor: string): Promise<Result<{ held: HeldTag }>> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.held.hold(tx, tag, reason, actor));
  }

  async releaseTag(tag: Tag): Promise<Result> {
    if (!this.exists) return failure("NAME_UNKNOWN");
    return this.change(undefined, (tx) => this.parts.held.release(tx, tag));
  }
}
