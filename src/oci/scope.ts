/**
 * Scopes: what a client asks a token for, and what the token then says.
 *
 * Source: Docker Registry v2 authentication, "Token Scope Documentation" and "Token Authentication Implementation".
 */
import { type Grant, isVerb, type Verb, verbs } from "./grant.ts";
import { parseRepositoryName } from "./reference.ts";

/**
 * An entry of a token's `access` claim. `denied` is ours: what was asked for and not granted. It tells a token that
 * may not do something from one that was not asked for with it in mind, and whose holder should get another.
 */
export type AccessEntry = { type: string; name: string; actions: string[]; denied?: string[] };

/** The most scopes that one request is answered for. */
export const maxScopes = 100;

/**
 * Reads scopes: several to a text, separated by spaces. What does not parse is passed over, as asking for too much
 * is no error. Of more than {@link maxScopes} only the first count.
 */
export function parseScopes(texts: string[]): AccessEntry[] {
  const entries = new Map<string, AccessEntry>();
  for (const text of texts.flatMap((scope) => scope.split(" "))) {
    if (entries.size >= maxScopes) break;
    const entry = parseScope(text);
    if (entry === undefined) continue;
    const key = `${entry.type}:${entry.name}`;
    const actions = [...(entries.get(key)?.actions ?? []), ...entry.actions];
    entries.set(key, { ...entry, actions: [...new Set(actions)] });
  }
  return [...entries.values()];
}

/** `type(class):name:action,action`; the name may contain colons, as it may begin with a host and port. */
function parseScope(text: string): AccessEntry | undefined {
  const match = /^([a-z]+)(?:\([a-z0-9]+\))?:(.{1,300}):([a-z*,]*)$/.exec(text);
  if (match === null) return undefined;
  const [, type = "", name = "", actions = ""] = match;
  if (type === "repository" && parseRepositoryName(name) === undefined) return undefined;
  return { type, name, actions: actions.split(",").filter((action) => action !== "") };
}

/** The verbs among the actions of a scope; `*` stands for all of them. */
export function verbsOf(actions: string[]): Verb[] {
  return actions.includes("*") ? [...verbs] : actions.filter(isVerb);
}

/** A scope as a challenge names it. */
export function formatScope({ type, name, actions }: AccessEntry): string {
  return `${type}:${name}:${actions.join(",")}`;
}

/** Reads an `access` claim that somebody else may have written; what is out of shape is passed over. */
export function parseAccessClaim(claim: unknown): AccessEntry[] {
  if (!Array.isArray(claim)) return [];
  return claim.slice(0, maxScopes).flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { type, name, actions, denied } = entry as Record<string, unknown>;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(actions)) return [];
    return [
      {
        type,
        name,
        actions: strings(actions),
        ...(Array.isArray(denied) ? { denied: strings(denied) } : {}),
      },
    ];
  });
}

/**
 * What an `access` claim grants on repositories. Its names are names: one that is a pattern, as grants have them, is
 * passed over.
 */
export function grantsOfAccess(access: AccessEntry[]): Grant[] {
  return access
    .filter(({ type, name }) => type === "repository" && parseRepositoryName(name) !== undefined)
    .map(({ name, actions }) => ({ repository: name, verbs: verbsOf(actions) }));
}

/** What a token says of the list of repositories. Source: as above, "Resource Types". */
export const catalogScope: AccessEntry = { type: "registry", name: "catalog", actions: ["*"] };

/** Whether an `access` claim lets its holder list repositories. */
export function includesCatalog(access: AccessEntry[]): boolean {
  return access.some(
    ({ type, name, actions }) =>
      type === catalogScope.type && name === catalogScope.name && actions.includes("*"),
  );
}

function strings(values: unknown[]): string[] {
  return values.filter((value) => typeof value === "string");
}
