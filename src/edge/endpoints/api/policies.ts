/** `/api/v1/policies`, and what holds for a repository */
import type { policies } from "../../../contract/policies.ts";
import { failure } from "../../../oci/errors.ts";
import type { Policy, StoredPolicies } from "../../../policy/document.ts";
import { policyOf } from "../../../registry/policies.ts";
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
function sectionsOf({ from, tags, names }: Policy) {
  return {
    ...(tags === undefined ? {} : { tags: { ...tags, rule: from.tags ?? 0 } }),
    ...(names === undefined ? {} : { names: { ...names, rule: from.names ?? 0 } }),
  };
}

export const policyHandlers: HandlersOf<typeof policies> = {
  "/repositories/{name}/policy": {
    GET: async ({ registry, repository }) => {
      if ((await registry.ledger(repository).info()) === undefined)
        return failure("NAME_UNKNOWN", { repository });
      const { version, policy } = await policyOf(registry, repository);
      return { status: 200, body: { version, ...sectionsOf(policy) } };
    },
  },
  "/policies": {
    GET: async ({ registry }) => {
      const body = view(await registry.policies.current());
      return { status: 200, body, etag: etagOf(body.version) };
    },
    PUT: async ({ registry, request, access, body: { rules } }) => {
      const expected = expectedVersion(request.headers.get("If-Match"));
      if (!expected.ok) return invalidField("If-Match", 'the ETag of an answer, such as "3"');
      const put = await registry.policies.put(rules, expected.version, access.account);
      if (!put.ok) return put;
      const body = view(put.policies);
      const detail = `version ${body.version}, ${rules.length} rules`;
      return { status: 200, body, etag: etagOf(body.version), audited: { detail } };
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
