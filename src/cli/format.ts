/** How grants and durations are written on the command line. */
import { type Grant, isVerb, verbs } from "../oci/grant.ts";
import { isPattern, matchesPattern } from "../oci/pattern.ts";
import { parseRepositoryName } from "../oci/reference.ts";
import { parseDuration, parseSize, second } from "../units.ts";
import { UsageError } from "./errors.ts";

/** Reads a grant such as `team/**:pull,push`. */
export function parseGrant(text: string): Grant {
  const colon = text.lastIndexOf(":");
  const [repository, list] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)];
  const allowed = list.split(",");
  if (!isPattern(repository) || !allowed.every(isVerb)) {
    throw new UsageError(
      `${quote(text)} is no grant; write PATTERN:VERB,VERB with verbs of ${verbs.join(", ")}, such as 'team/**:pull,push'`,
    );
  }
  return { repository, verbs: [...new Set(allowed)] };
}

/** Writes grants for people. */
export function formatGrants(grants: Grant[] | undefined): string {
  if (grants === undefined) return "all of the account";
  if (grants.length === 0) return "none";
  return grants.map(({ repository, verbs: allowed }) => `${repository}:${allowed.join(",")}`).join(" ");
}

/** Whether other grants allow everything that a grant allows. If that is hard to decide, it is `false`. */
export function isWithin({ repository, verbs: allowed }: Grant, others: Grant[]): boolean {
  return allowed.every((verb) =>
    others.some((other) => other.verbs.includes(verb) && isPatternWithin(repository, other.repository)),
  );
}

function isPatternWithin(pattern: string, other: string): boolean {
  if (pattern === other || other === "**") return true;
  // As a name: of the other one, only a star matches a sign such as `*` or `?`.
  if (!pattern.includes("**")) return matchesPattern(other, pattern);
  const folder = other.slice(0, -"**".length);
  return other.endsWith("/**") && !folder.includes("*") && pattern.startsWith(folder);
}

/** Reads a duration of whole seconds such as `90d`; returns seconds. */
export function durationSeconds(text: string): number {
  const seconds = (parseDuration(text) ?? 0) / second;
  if (seconds > 0 && Number.isInteger(seconds)) return seconds;
  throw new UsageError(`${quote(text)} is no duration; write a number and s, m, h or d, such as 90d`);
}

/** Reads a size such as `50MB` or `32MiB`; returns bytes. */
export function sizeBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(`${quote(text)} is no size; write a number and a unit, such as 50MB or 32MiB`);
}

/** Checks the name of a repository. */
export function repositoryName(text: string): string {
  if (parseRepositoryName(text) !== undefined) return text;
  throw new UsageError(`${quote(text)} is no name of a repository, such as team/app`);
}

/** The name of an account, or the id of a token, as a piece of a path. */
export function pathSegment(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)) return text;
  throw new UsageError(`${quote(text)} is no name: there are letters, digits and . _ - in them`);
}

/** A number of things: `1 repository`, `2 repositories`. */
export function counted(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

/** A text as it is shown in a message. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
