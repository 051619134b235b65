/** `/api/v1/policies`, and what holds for a repository */
import type { policies } from "../../../contract/policies.ts";
import { failure } from "../../../oci/errors.ts";
import type { Policy, StoredPolicies } from "../../../policy/document.ts";
import { isImmutable, refusedName } from "../../../policy/enforcement.ts";
import type { Verdict } from "../../../policy/retention.ts";
import { policyOf, tryPolicies } from "../../../registry/policies.ts";
import type { HeldTag, PolicyReport, RetentionRun, TriedTag, WaitingRun } from "../../../rpc/policies-api.ts";
import { eventOrigin } from "../../context.ts";
import type { HandlersOf } from "../../operations/handler.ts";
import { invalidField } from "../../operations/parse-call.ts";

function view(stored: StoredPolicies | undefined) {
  if (stored === undefined) return { version: 0, rules: [] };
  const { version, rules, putAtMs, putBy } = stored;
  return { version, changedAt: new Date(putAtMs).toISOString(), changedBy: putBy, rules };
}

const etagOf = (version: number) => `"${version}"`;

/** The version of the entity tag in an `If-Match` header; `undefined` without one, or with `*`. */
function expectedVersion(header: string | null): { ok: true; version: number | undefined } | { ok: false } {
  const text = header?.trim() ?? "*";
  if (text === "*") return { ok: true, version: undefined };
  const [, digits] = /^"(\d{1,15})"$/.exec(text) ?? [];
  return digits === undefined ? { ok: false } : { ok: true, version: Number(digits) };
}

/** The sections that hold for a repository, each with the rule that it is from. */
function sectionsOf({ from, tags, keep, remove, names }: Policy) {
  return {
    ...(keep === undefined ? {} : { keep: { lines: keep, rule: from.keep ?? 0 } }),
    ...(remove === undefined ? {} : { remove: { ...remove, rule: from.remove ?? 0 } }),
    ...(tags === undefined ? {} : { tags: { ...tags, rule: from.tags ?? 0 } }),
    ...(names === undefined ? {} : { names: { ...names, rule: from.names ?? 0 } }),
  };
}

const timeOf = (ms: number) => new Date(ms).toISOString();

function waitingView({ sinceMs, removes, of, why }: WaitingRun) {
  return { since: timeOf(sinceMs), removes, of, why };
}

function heldView({ tag, atMs, actor, reason }: HeldTag) {
  return { tag, time: timeOf(atMs), actor, reason };
}

/** Who held a tag, and why, is for those whose grants allow `pull`: the repository may be public. */
function retentionView({ waiting, lastRun, nextRunAtMs, held }: PolicyReport, isGranted: boolean) {
  return {
    ...(waiting === undefined ? {} : { waiting: waitingView(waiting) }),
    ...(lastRun === undefined ? {} : { lastRun: runView(lastRun) }),
    ...(nextRunAtMs === undefined ? {} : { nextRunAt: timeOf(nextRunAtMs) }),
    held: held.map((each) => heldView(isGranted ? each : { ...each, actor: "", reason: "" })),
  };
}

function runView({ atMs, removed, endedAtMs }: RetentionRun) {
  return { time: timeOf(atMs), removed, ...(endedAtMs === null ? {} : { endedAt: timeOf(endedAtMs) }) };
}

function verdictView(verdict: Verdict & Partial<Pick<TriedTag, "digest" | "pushedAtMs">>) {
  const { tag, digest, pushedAtMs } = verdict;
  return {
    tag,
    stays: verdict.stays,
    ...(verdict.stays ? { why: verdict.why } : { since: timeOf(verdict.sinceMs) }),
    ...("line" in verdict ? { line: verdict.line } : {}),
    ...("untilMs" in verdict ? { until: timeOf(verdict.untilMs) } : {}),
    ...(digest === undefined ? {} : { digest }),
    ...(pushedAtMs === undefined ? {} : { pushed: timeOf(pushedAtMs) }),
  };
}

export const policyHandlers: HandlersOf<typeof policies> = {
  "/repositories/{name}/policy": {
    GET: async ({ registry, repository, query, access }) => {
      const applied = await policyOf(registry, repository);
      const explained = await registry.ledger(repository).explainPolicy(applied, query.tag);
      if (!explained.ok) return explained;
      const { report } = explained;
      const { policy } = report;
      if (query.tag !== undefined && report.verdict === undefined)
        return failure("MANIFEST_UNKNOWN", { tag: query.tag });
      const breaks = { name: refusedName(policy, repository) !== undefined, tags: report.refusedTags };
      const { verdict } = report;
      return {
        status: 200,
        body: {
          version: applied.version,
          ...sectionsOf(policy),
          retention: retentionView(report, access.may("pull", repository)),
          breaks,
          ...(verdict === undefined
            ? {}
            : { tag: { ...verdictView(verdict), immutable: isImmutable(policy, verdict.tag) } }),
        },
      };
    },
  },
  "/repositories/{name}/policy/confirm": {
    POST: async ({ registry, repository }) => {
      const confirmed = await registry.ledger(repository).confirmRun();
      if (!confirmed.ok) return confirmed;
      const detail = `removes ${confirmed.removes} of ${confirmed.of} tags`;
      return { status: 202, body: waitingView(confirmed), audited: { detail } };
    },
  },
  "/repositories/{name}/tags/{tag}/hold": {
    PUT: async ({ registry, repository, params, body: { reason }, access }) => {
      const done = await registry.ledger(repository).holdTag(params.tag, reason, access.account);
      if (!done.ok) return done;
      return { status: 200, body: heldView(done.held), audited: { detail: reason } };
    },
    DELETE: async ({ registry, repository, params }) => {
      const done = await registry.ledger(repository).releaseTag(params.tag);
      return done.ok ? { status: 204 } : done;
    },
  },
  "/policies/try": {
    POST: async ({ registry, body: { rules, repository, cursor } }) => {
      const tried = await tryPolicies(registry, rules, repository, cursor ?? "");
      if (!tried.ok) return tried;
      const repositories = tried.trials.map(({ name, trial }) => {
        const { tags, ...rest } = trial;
        return { name, ...rest, tags: tags.map(verdictView) };
      });
      return { status: 200, body: { repositories, cursor: tried.last } };
    },
  },
  "/policies/waiting": {
    GET: async ({ registry, page }) => {
      const { entries, more } = await registry.catalog().waitingRuns(page.last, page.limit);
      const runs = entries.map(({ repository, ...run }) => ({ repository, ...waitingView(run) }));
      return { status: 200, body: { runs }, next: more ? entries.at(-1)?.repository : undefined };
    },
  },
  "/policies": {
    GET: async ({ registry }) => {
      const body = view(await registry.policies.current());
      return { status: 200, body, headers: { ETag: etagOf(body.version) } };
    },
    PUT: async ({ registry, request, access, body: { rules } }) => {
      const expected = expectedVersion(request.headers.get("If-Match"));
      if (!expected.ok) return invalidField("If-Match", 'the ETag of an answer, such as "3"');
      const put = await registry.policies.put(rules, expected.version, access.account);
      if (!put.ok) return put;
      const body = view(put.policies);
      const detail = `version ${body.version}, ${rules.length} rules`;
      return { status: 200, body, headers: { ETag: etagOf(body.version) }, audited: { detail } };
    },
  },
  "/policies/override": {
    POST: async (call) => {
      const { repository, tag, digest, reason } = call.body;
      const ledger = call.registry.ledger(repository);
      const done = await ledger.overrideTag(tag, digest, reason, eventOrigin(call));
      if (!done.ok) return done;
      const audited = { repository, tag, detail: `${digest ?? "deleted"}: ${reason}` };
      return { status: 200, body: { tag, digest: digest ?? null }, audited };
    },
  },
};
