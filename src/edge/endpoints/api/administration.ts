/** What administrators do besides: `/api/v1/explain`, `/api/v1/audit`, `/api/v1/keys/rotate`. */
import { auditKinds } from "../../../objects/api.ts";
import { failure } from "../../../oci/errors.ts";
import { everything, findGrant, isVerb, verbs } from "../../../oci/grant.ts";
import { parsePage } from "../../../oci/http.ts";
import { isPublic } from "../../../registry/repositories.ts";
import { audit, auditQueueOf } from "../../auth/audit.ts";
import { authCacheOf } from "../../auth/auth-cache.ts";
import { adminName } from "../../auth/principal.ts";
import { type Answer, type Context, jsonReply } from "../../context.ts";
import { linkHeader } from "../../respond.ts";
import { invalidField, parseRepository, readJson } from "./json-body.ts";

/** Says which grant allows a verb on a repository, or why none does. */
export async function explain(context: Context): Promise<Answer> {
  const { registry } = context;
  const body = await readJson(context, ["account", "repository", "verb"]);
  if (!body.ok) return { failure: body };
  const { account: name, repository: repositoryName, verb } = body.json;
  if (typeof name !== "string") return { failure: invalidField("account", "the name of an account") };
  if (!isVerb(verb)) return { failure: invalidField("verb", `one of ${verbs.join(", ")}`) };
  const named = parseRepository(repositoryName);
  if (!named.ok) return { failure: named };
  const { repository } = named;
  if (verb === "pull" && (await isPublic(registry, repository))) {
    return jsonReply({ allowed: true, reason: "the repository is public: everybody may pull it" });
  }
  const account = name === adminName ? undefined : await registry.catalog().account(name);
  if (name !== adminName && account === undefined) {
    return jsonReply({ allowed: false, reason: "there is no such account" });
  }
  if (account?.isDisabled) return jsonReply({ allowed: false, reason: "the account is disabled" });
  const grant = findGrant(account?.grants ?? everything, verb, repository);
  return grant === undefined
    ? jsonReply({ allowed: false, reason: `no grant of the account allows ${verb} on this repository` })
    : jsonReply({ allowed: true, reason: "a grant of the account allows it", grant });
}

/** Lists what was done and refused, newest first, of one kind or of all; `last` is the id to go on from. */
export async function listAudit({ registry, url }: Context): Promise<Answer> {
  const page = parsePage(url.searchParams);
  const before = page?.last === "" ? Number.MAX_SAFE_INTEGER : Number(page?.last);
  if (page === undefined || !Number.isSafeInteger(before)) return { failure: failure("PAGE_INVALID") };
  const asked = url.searchParams.get("kind");
  const kind = auditKinds.find((each) => each === asked);
  if (asked !== null && kind === undefined) {
    return { failure: invalidField("kind", `one of ${auditKinds.join(", ")}`) };
  }
  // What this isolate has just refused is shown, too.
  await auditQueueOf(registry).flush();
  const limit = Math.min(page.limit, 1000);
  const { entries, more } = await registry.catalog().listAudit(kind, before, limit);
  return jsonReply({ entries }, linkHeader(url, { ...page, limit }, more, entries.at(-1)?.id.toString()));
}

/** Makes a new signing key. Tokens in flight stay good: the keys before it go on verifying. */
export async function rotateKeys(context: Context): Promise<Answer> {
  const keys = await context.registry.catalog().rotateSigningKey();
  await authCacheOf(context.registry).keys.replace(keys);
  audit(context, { action: "keys.rotate", target: keys[0]?.kid ?? "", outcome: "done" });
  return jsonReply({ signing: keys[0]?.kid, verifying: keys.map((key) => key.kid) });
}
