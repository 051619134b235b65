/**
 * Whether the caller may do what a route does with a repository, and what a caller is told who may not.
 *
 * A repository that the caller may not see answers as one that does not exist would: the same, before any look-up.
 */
import { failure } from "../../oci/errors.ts";
import type { Verb } from "../../oci/grant.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/name.ts";
import type { AccessEntry } from "../../oci/scope.ts";
import { isPublic, knownVisibility } from "../../registry/repositories.ts";
import type { Context, Refusal } from "../context.ts";
import type { Access } from "./access.ts";
import { audit } from "./audit.ts";
import { bearerChallenge } from "./challenge.ts";
import { guardOf } from "./guard.ts";
import { networkName } from "./limits.ts";

/** Whether nobody in particular asks. */
export function isAnonymous(access: Access): boolean {
  return access.account === "anonymous" && access.credential !== "open";
}

/** `undefined` if the caller may; else the refusal. */
export async function refusalFor(
  context: Context,
  repository: RepositoryName,
  verb: Verb,
): Promise<Refusal | undefined> {
  const { access } = context;
  // Before anything else, as even a refusal may cost a look-up.
  if (verb === "pull" && isGuessing(context)) return { failure: failure("TOOMANYREQUESTS") };
  if (access.may(verb, repository)) return undefined;
  if (verb === "pull" && (await mayEverybodyPull(context, repository))) return undefined;
  return deny(context, repository, verb);
}

/** Whether an anonymous caller has asked in vain too often. */
export function isGuessing({ registry, access, network }: Caller): boolean {
  return isAnonymous(access) && guardOf(registry).misses.isReached(networkName(network));
}

type Caller = Pick<Context, "registry" | "access" | "network">;

/** How many questions of one caller, whether a repository is public, are under way in an isolate at most. */
const mostQuestions = 32;

/**
 * Whether a repository is public. Callers that ask about one after the other that is not, and that they may not pull
 * otherwise, are believed to be guessing, and the ledgers are not asked for them any more.
 */
export async function mayEverybodyPull(caller: Caller, repository: RepositoryName): Promise<boolean> {
  const { registry, access, network } = caller;
  const known = knownVisibility(registry, repository);
  if (known !== undefined) return known;
  const { misses, questions } = guardOf(registry);
  // Each question about a name may be the first that its object gets, whoever asks.
  const who = isAnonymous(access) ? networkName(network) : `account ${access.account}`;
  // What is being asked may be in vain, and is counted only afterwards.
  const asking = questions.get(who) ?? 0;
  if (misses.isReached(who) || asking >= mostQuestions) return false;
  questions.set(who, asking + 1);
  try {
    const answer = await isPublic(registry, repository);
    if (!answer) await misses.count(who);
    return answer;
  } finally {
    const left = (questions.get(who) ?? 1) - 1;
    if (left === 0) questions.delete(who);
    else questions.set(who, left);
  }
}

/**
 * Whether the caller may read a blob from a repository in order to mount it elsewhere. With a bearer token, the token
 * itself must say so: it was issued for what it names, and may be in the hands of somebody who is to have no more.
 *
 * `isNamed`: the caller named the source. What was found for a caller who named none is no guess of theirs.
 */
export async function mayPullFrom(
  context: Context,
  source: RepositoryName,
  isNamed: boolean,
): Promise<boolean> {
  if (context.access.may("pull", source)) return true;
  return isNamed ? mayEverybodyPull(context, source) : isPublic(context.registry, source);
}

function deny(context: Context, repository: RepositoryName, verb: Verb): Refusal {
  const { access } = context;
  if (!isAnonymous(access) && access.isFinal(verb, repository)) {
    if (verb !== "pull") audit(context, { action: verb, target: repository, outcome: "denied" });
    return { failure: failure("DENIED", { repository, action: verb }) };
  }
  return challenge(context, scopesFor(context.url, repository, verb));
}

/** Sends the caller to the token service, for these scopes. */
export function challenge({ registry, access, url, request }: Context, scopes: AccessEntry[]): Refusal {
  const isForOther = access.credential === "bearer" && !isAnonymous(access);
  const header = bearerChallenge(
    registry.settings,
    url,
    request.headers,
    scopes,
    isForOther ? "insufficient_scope" : undefined,
  );
  return {
    failure: failure(isForOther ? "SCOPE_INSUFFICIENT" : "UNAUTHORIZED"),
    headers: { "WWW-Authenticate": header },
  };
}

/** What to ask a token for: a push also needs to pull, and a mount to pull from its source. */
function scopesFor(url: URL, repository: RepositoryName, verb: Verb): AccessEntry[] {
  const actions = verb === "push" ? ["pull", "push"] : [verb];
  const scopes = [{ type: "repository", name: repository as string, actions }];
  const source = url.searchParams.get("mount") === null ? null : url.searchParams.get("from");
  const from = source === null ? undefined : parseRepositoryName(source);
  if (from !== undefined) scopes.push({ type: "repository", name: from, actions: ["pull"] });
  return scopes;
}
