/**
 * Retention: once a day, removes the tags that the policy lists for removal and does not keep. A run decides on all tags
 * (policy/retention.ts), and removes those that go in batches. Each batch goes by a decision that is current in its
 * transaction. A run that would remove unexpectedly much waits until somebody confirms it.
 */
import { failure, type Result } from "../../oci/errors.ts";
import { policyItself, registryItself } from "../../oci/event.ts";
import type { Policy } from "../../policy/document.ts";
import { placeOf } from "../../policy/enforcement.ts";
import { decide, type Verdict } from "../../policy/retention.ts";
import type { WaitingRun, WaitReason } from "../../rpc/policies-api.ts";
import { catalogStub } from "../../rpc/stubs.ts";
import { logDeletion } from "../../rpc/tally.ts";
import { type DueRow, jobOn } from "../due.ts";
import { type Tx, transaction } from "../sql.ts";
import type { EventLog } from "./events.ts";
import type { Feature, LedgerHost } from "./feature.ts";
import { type Policies, retentionJob } from "./policies.ts";
import type { RetentionRuns } from "./retention-runs.ts";
import { readTagStates, type StoredTag } from "./tag-states.ts";
import type { Tags } from "./tags.ts";

/** The job that tells the catalog whether a run waits. */
const tellJob = "tell-waiting";

/** How long a run pauses after each batch, in milliseconds. */
const pauseMs = 25;

/** How many tags are removed in a transaction. Each is about ten rows. */
const batchTags = 16;

/** How many events about tags that will expire are written in a transaction. */
const batchEvents = 100;

/** So many tags may always go without confirmation. */
const fewTags = 10;

/** A row of the job: where a run goes on, or the tag after which expiring ones are announced. */
type Place = "" | `expiring ${string}`;

/** A tag that goes. */
type Going = StoredTag & { sinceMs: number };

/** A decision on all tags, and at which revision of them it was made. */
type Decision = { revision: number; of: number; going: Going[] };

/** The features that retention uses. */
type Features = {
  policies: Policies;
  tags: Tags;
  runs: RetentionRuns;
  events: EventLog;
  exists: () => boolean;
};

/** The runs of retention. */
export class Retention implements Feature {
  readonly tables = {};
  readonly steps = {};

  readonly jobs = {
    [retentionJob]: {
      atDeletion: "cleared",
      run: jobOn<Place>((due) => this.#run(due)),
    },
    [tellJob]: { atDeletion: "kept", run: () => this.#tell() },
  } as const;

  readonly #host: LedgerHost;
  readonly #features: Features;
  #decision: Decision | undefined;

  constructor(host: LedgerHost, features: Features) {
    this.#host = host;
    this.#features = features;
  }

  // ── Deciding ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** The verdict of a policy on each tag at a time. */
  verdicts(policy: Policy, atMs = this.#host.clock.now()): (Verdict & { state: StoredTag })[] {
    const states = readTagStates(this.#host.sql, this.#features.policies.sinceMs);
    const moment = { nowMs: atMs, noticeMs: this.#host.settings.retentionEveryMs };
    const verdicts = decide(states, policy, moment);
    return states.flatMap((state, at) => {
      const verdict = verdicts[at];
      return verdict === undefined ? [] : [{ ...verdict, state }];
    });
  }

  /**
   * The tags that go now. A decision holds until something changes by which it was made: as time passes, tags that go
   * still go; and as none of them has a place in a line of `keep`, removing some of them changes nothing for the others.
   */
  #decide(): Decision {
    const { revision } = this.#host;
    if (this.#decision?.revision === revision.value) return this.#decision;
    const verdicts = this.verdicts(this.#features.policies.policy);
    const going = verdicts.flatMap((each): Going[] =>
      each.stays ? [] : [{ ...each.state, sinceMs: each.sinceMs }],
    );
    return { revision: revision.value, of: verdicts.length, going };
  }

  /** Why a run by this policy would have to be confirmed that removes so many tags. */
  waitReason(policy: Policy, removes: number, of: number): WaitReason | undefined {
    const { runs } = this.#features;
    const isNew = runs.accepted !== rulesOf(policy);
    if (isNew && removes > Math.max(fewTags, of / 10)) return "new rules";
    const { most } = runs;
    return most !== undefined && removes > Math.max(fewTags, 3 * most) ? "more than usual" : undefined;
  }

  // ── Running ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #run(rows: DueRow<Place>[]): Promise<void> {
    const { storage } = this.#host;
    const { policies } = this.#features;
    const latest = await policies.readLatest();
    for (const { id } of rows) {
      policies.forget();
      const decision = transaction(storage, (tx) => {
        policies.adopt(tx, latest);
        return this.#step(tx, id);
      });
      this.#decision = decision;
    }
    // Lets other calls run: an answer waits until what was written before it is on disk.
    await scheduler.wait(pauseMs);
  }

  #step(tx: Tx, place: Place): Decision | undefined {
    const { due, clock } = this.#host;
    const { policies, runs, exists } = this.#features;
    due.clear(tx, retentionJob, place);
    if (policies.policy.remove === undefined || !exists()) {
      runs.end(tx);
      this.stopWaiting(tx);
      return undefined;
    }
    if (place !== "") {
      this.#announce(tx, place.slice("expiring ".length));
      return undefined;
    }
    const decision = this.#decide();
    if (!this.#mayRun(tx, decision)) {
      policies.scheduleRun(tx);
      return decision;
    }
    const batch = decision.going.slice(0, batchTags);
    for (const each of batch) this.#expire(tx, each);
    runs.count(tx, batch.length);
    const going = decision.going.slice(batchTags);
    if (going.length > 0) due.set(tx, retentionJob, "", clock.now());
    else {
      runs.end(tx);
      due.set(tx, retentionJob, "expiring ", clock.now());
      policies.scheduleRun(tx);
    }
    return { revision: this.#host.revision.value, of: decision.of - batch.length, going };
  }

  /** Whether a run is under way by the current rules, or one may begin, which it then does. */
  #mayRun(tx: Tx, { going, of }: Decision): boolean {
    const { runs, policies } = this.#features;
    const { policy } = policies;
    const rules = rulesOf(policy);
    if (runs.isUnderWay(rules)) return true;
    runs.end(tx);
    const why = this.waitReason(policy, going.length, of);
    if (why !== undefined) {
      this.#wait(tx, { removes: going.length, of, why });
      return false;
    }
    this.stopWaiting(tx);
    runs.begin(tx, rules);
    return true;
  }

  #expire(tx: Tx, { tag, digest }: Going): void {
    const { policies, tags } = this.#features;
    const { version, policy } = policies.applied;
    const rule = placeOf(policy, "remove");
    policies.rememberExpired(tx, tag, digest);
    tags.move(tx, tag, undefined, policyItself, { reason: `${rule} of version ${version}`, rule });
    logDeletion({ what: "tag", reason: "a policy removes it", repository: this.#host.name(), tag, rule });
  }

  /** Tells of the tags that will go with the next run, after `last`. */
  #announce(tx: Tx, last: string): void {
    const { clock, due, settings } = this.#host;
    const { policies, events } = this.#features;
    const { policy } = policies;
    const now = clock.now();
    const going = this.verdicts(policy, now + settings.retentionEveryMs).filter(
      (each) => !each.stays && each.sinceMs > now && each.tag > last,
    );
    const batch = going.slice(0, batchEvents);
    for (const { state, ...verdict } of batch) {
      if (verdict.stays) continue;
      const expiresAt = new Date(verdict.sinceMs).toISOString();
      const { tag, digest } = state;
      events.record(tx, "tag.expiring", registryItself, {
        tag,
        digest,
        rule: placeOf(policy, "remove"),
        expiresAt,
      });
    }
    const end = batch.at(-1)?.tag;
    if (end !== undefined && batch.length < going.length)
      due.set(tx, retentionJob, `expiring ${end}`, clock.now());
  }

  // ── Waiting ──────────────────────────────────────────────────────────────────────────────────────────────────

  #wait(tx: Tx, run: Omit<WaitingRun, "sinceMs">): void {
    const { clock } = this.#host;
    const before = this.#features.runs.waiting;
    const { runs, policies } = this.#features;
    runs.wait(tx, { sinceMs: before?.sinceMs ?? clock.now(), ...run }, rulesOf(policies.policy));
    this.#tellLater(tx);
    if (before !== undefined) return;
    const rule = placeOf(policies.policy, "remove");
    this.#features.events.record(tx, "retention.waiting", registryItself, { rule, removes: run.removes });
  }

  /** Has no run wait any more, also before the repository is deleted: a new one of its name has none. */
  stopWaiting(tx: Tx): void {
    if (this.#features.runs.stopWaiting(tx)) this.#tellLater(tx);
  }

  #tellLater(tx: Tx): void {
    this.#host.due.set(tx, tellJob, "", this.#host.clock.now());
  }

  /**
   * Lets the run begin that waits. Error: `RUN_UNKNOWN`, also if other rules hold by now: what they remove is found out
   * at once, and waits by itself if it has to.
   */
  confirm(tx: Tx): Result<WaitingRun> {
    const { runs, policies } = this.#features;
    const { waiting } = runs;
    if (waiting === undefined) {
      // Whoever asks was perhaps told of a run that is over.
      this.#tellLater(tx);
      return failure("RUN_UNKNOWN");
    }
    const rules = rulesOf(policies.policy);
    const isCurrent = runs.waitsBy(rules);
    this.stopWaiting(tx);
    if (isCurrent) runs.begin(tx, rules);
    this.#host.due.set(tx, retentionJob, "", this.#host.clock.now());
    return isCurrent ? { ok: true, ...waiting } : failure("RUN_UNKNOWN");
  }

  async #tell(): Promise<void> {
    const { env, storage, due, name } = this.#host;
    const { runs, exists } = this.#features;
    const told = exists() ? runs.waiting : undefined;
    await catalogStub(env).putWaitingRun(name(), told);
    if (JSON.stringify(runs.waiting) === JSON.stringify(told))
      transaction(storage, (tx) => due.clear(tx, tellJob, ""));
  }
}

/** The part of a policy that retention goes by. */
function rulesOf({ keep = [], remove }: Policy): string {
  return JSON.stringify({ keep, remove });
}
