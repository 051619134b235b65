/**
 * Scopes: the access that a client requests, and the `access` claim of the token that it gets.
 *
 * Source: Docker Registry v2 authentication, "Token Scope Documentation" and "Token Authentication Implementation".
 */
import { type Grant, isVerb, type Verb, verbs } from "./grant.ts";
import { parseRepositoryName } from "./reference.ts";

/**
 * An entry of a token's `access` claim. `denied` is our extension: access that was requested and not granted. If an
 * action is neither granted nor denied, it was not requested, and the client should get another token. So is
 * `registered`: the name was registered in the index of names when the token was issued.
 */
export type AccessEntry = {
  type: string;
  name: string;
  actions: string[];
  denied?: string[];
  registered?: true;
};

/** How many scopes of one request are considered at most. */
export const maxScopes = 100;

/**
 * Reads scopes: several in a text, separated by spaces. Malformed ones are ignored, as requesting too much is no error.
 * Only the first {@link maxScopes} are considered.
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

/** A scope in the form of a challenge. */
export function formatScope({ type, name, actions }: AccessEntry): string {
  return `${type}:${name}:${actions.join(",")}`;
}

/** Reads an `access` claim, perhaps of another issuer; malformed entries are ignored. */
export function parseAccessClaim(claim: unknown): AccessEntry[] {
  if (!Array.isArray(claim)) return [];
  return claim.slice(0, maxScopes).flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { type, name, actions, denied, registered } = entry as Record<string, unknown>;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(actions)) return [];
    return [
      {
        type,
        name,
        actions: strings(actions),
        ...(Array.isArray(denied) ? { denied: strings(denied) } : {}),
        ...(registered === true ? { registered } : {}),
      },
    ];
  });
}

/**
 * The grants of an `access` claim. Its names must be names of repositories; patterns are ignored.
 */
export function grantsOfAccess(access: AccessEntry[]): Grant[] {
  return access
    .filter(({ type, name }) => type === "repository" && parseRepositoryName(name) !== undefined)
    .map(({ name, actions }) => ({ repository: name, verbs: verbsOf(actions) }));
}

/** The access entry for listing repositories. Source: as above, "Resource Types". */
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
