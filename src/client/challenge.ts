/** Challenges: how a registry asks for credentials when it answers 401. Source: RFC 9110, section 11.6.1. */
import { isLoopbackHost } from "../oci/address.ts";

/** One challenge; names are in lower case. */
export type Challenge = { scheme: string; parameters: Record<string, string> };

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = new RegExp(`^(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`);
const scheme = new RegExp(`^(${token})(?=[ \\t]|,|$)`);

/** Reads a `WWW-Authenticate` header, which may have several challenges; a malformed part ends it. */
export function parseChallenges(header: string | null): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header ?? "";
  for (;;) {
    rest = rest.replace(/^[ \t,]+/, "");
    const found = parameter.exec(rest);
    const last = challenges.at(-1);
    if (found !== null && last !== undefined) {
      const [whole, name = "", quoted, plain] = found;
      last.parameters[name.toLowerCase()] ??= plain ?? quoted?.replace(/\\(.)/g, "$1") ?? "";
      rest = rest.slice(whole.length);
      continue;
    }
    const begun = scheme.exec(rest);
    if (begun === null) return challenges;
    challenges.push({ scheme: begun[0].toLowerCase(), parameters: Object.create(null) });
    rest = rest.slice(begun[0].length);
  }
}

/** How to respond to a 401. `scope`: the scope that the registry requires, as it wrote it. */
export type Demand =
  | { kind: "bearer"; realm: URL; service: string | undefined; scope: string | undefined }
  | { kind: "basic" };

/** The first challenge that can be met; `undefined` when there is none. */
export function demandOf(header: string | null): Demand | undefined {
  const challenges = parseChallenges(header);
  for (const { scheme: name, parameters } of challenges) {
    const realm = URL.parse(parameters.realm ?? "");
    if (name === "bearer" && realm !== null && isPlain(realm)) {
      return { kind: "bearer", realm, service: parameters.service, scope: parameters.scope };
    }
  }
  return challenges.some(({ scheme: name }) => name === "basic") ? { kind: "basic" } : undefined;
}

function isPlain({ protocol, username, password }: URL): boolean {
  return (protocol === "https:" || protocol === "http:") && username === "" && password === "";
}

/**
 * Whether credentials may be sent to a token service: over https; over http only if the registry is reached over http
 * as well, and the service is at its host or on this machine.
 */
export function mayTrust(realm: URL, registry: URL): boolean {
  if (realm.protocol === "https:") return true;
  return (
    registry.protocol === "http:" &&
    realm.protocol === "http:" &&
    (realm.hostname === registry.hostname || isLoopbackHost(realm.hostname))
  );
}
