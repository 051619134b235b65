/**
 * Upstreams: other registries whose repositories are cached here, which the variable `UPSTREAMS` lists.
 *
 * A cached repository is named by the id of its upstream and its name there: `dockerhub/library/alpine`. A request says
 * which is meant by that name, or by `?ns=`, as containerd does. It is never tried whether something else may have been
 * meant: otherwise who can push to an upstream could take the place of a repository that is missing here.
 */
import { day, gibibyte, hour, mebibyte, parseDuration, parseSize } from "../units.ts";
import { parseOrigin } from "./address.ts";
import type { Rejection, Result } from "./errors.ts";
import { isPattern, matchesPattern } from "./pattern.ts";
import { parseRepositoryName, type RepositoryName } from "./reference.ts";
import { readObject, readStrictly, readText, Wrong } from "./strict-json.ts";
import { targetProblem } from "./webhook-target.ts";

/** A name with a password, or with a token in its place. */
export type UpstreamCredential = { username: string; password: string };

/** A registry whose repositories are cached. Times are milliseconds, sizes are bytes. */
export type Upstream = {
  id: string;
  /** Its address, without a slash at the end. */
  url: string;
  /** The names by which containerd's `?ns=` means it. */
  aliases: string[];
  /** Patterns of the only repositories that are asked for, by their names there. */
  repositories: string[];
  /** The token service, if it is at another domain than the registry. */
  realm?: string;
  /** How long a tag is served without asking. */
  tagTtlMs: number;
  /** How long after that a tag is served while the upstream does not answer. */
  staleForMs: number;
  /** How long content is kept that nobody pulls; for ever if left out. */
  keepForMs?: number;
  /** How much is kept of this upstream; all if left out. */
  maxBytes?: number;
  /** Whether a tag that the upstream deleted is kept here. */
  onGone: "keep" | "delete";
  /** How many blobs are fetched at once. */
  maxConcurrent: number;
  visibility: "private" | "public";
  /** Whether it may be at a private address, and redirect to some. */
  isPrivate: boolean;
  /** Whether it may be reached over http. */
  isInsecure: boolean;
  /** Whether it is never asked. */
  isOffline: boolean;
  credential?: UpstreamCredential;
};

/** Finds the credential for the upstream with this id. */
export type CredentialOf = (id: string) => UpstreamCredential | undefined;

/** The value of the variable, or what is wrong with it, in words that quote no value. */
export type ParsedUpstreams = Result<{ value: Upstream[] }, Rejection>;

const fields = [
  "id",
  "url",
  "aliases",
  "repositories",
  "realm",
  "tagTtl",
  "staleFor",
  "keepFor",
  "maxBytes",
  "onGone",
  "maxConcurrent",
  "visibility",
  "private",
  "insecure",
  "offline",
];

/** Reads the variable. */
export function parseUpstreams(text: string): ParsedUpstreams {
  return readStrictly(text, (value) => {
    if (!Array.isArray(value)) throw new Wrong("it", "a list of upstreams");
    const upstreams = value.map((entry, index) => readUpstream(entry, `[${index}]`));
    refuseDoubles(upstreams, "id", ({ id }) => [id]);
    refuseDoubles(upstreams, "aliases", ({ aliases }) => aliases);
    return upstreams;
  });
}

/** Of two entries with one name only the first would be used. */
function refuseDoubles(upstreams: Upstream[], field: string, namesOf: (each: Upstream) => string[]): void {
  const seen = new Set<string>();
  for (const [index, upstream] of upstreams.entries()) {
    for (const name of namesOf(upstream)) {
      if (seen.has(name)) throw new Wrong(`[${index}].${field}`, "others than those before");
      seen.add(name);
    }
  }
}

function readUpstream(value: unknown, where: string): Upstream {
  const given = readObject(value, where, fields);
  const at = (field: string) => `${where}.${field}`;
  const id = readText(given.id, at("id"));
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(id) || id.length > maxIdLength)
    throw new Wrong(at("id"), `lower-case letters, digits and single hyphens, ${maxIdLength} at most`);
  const isPrivate = readFlag(given.private, at("private"));
  const isInsecure = readFlag(given.insecure, at("insecure"));
  const keepForMs = readAmount(given.keepFor, at("keepFor"), durations(hour, 3650 * day));
  const maxBytes = readAmount(given.maxBytes, at("maxBytes"), sizes(mebibyte, 1_000_000 * gibibyte));
  return {
    id,
    url: readUrl(given.url, at("url"), { isPrivate, isInsecure }),
    aliases: readList(given.aliases ?? [], at("aliases"), isAlias, "a list of hosts, such as docker.io"),
    repositories: readList(
      given.repositories ?? ["**"],
      at("repositories"),
      isPattern,
      "a list of repository patterns",
    ),
    ...(given.realm === undefined
      ? {}
      : { realm: readUrl(given.realm, at("realm"), { isPrivate, isInsecure }) }),
    tagTtlMs: readAmount(given.tagTtl ?? "60s", at("tagTtl"), durations(0, 30 * day)) ?? 0,
    staleForMs: readAmount(given.staleFor ?? "7d", at("staleFor"), durations(0, 3650 * day)) ?? 0,
    ...(keepForMs === undefined ? {} : { keepForMs }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    onGone: readWord(given.onGone, at("onGone"), "keep", "delete"),
    maxConcurrent: readCount(given.maxConcurrent ?? 8, at("maxConcurrent"), maxFetches),
    visibility: readWord(given.visibility, at("visibility"), "private", "public"),
    isPrivate,
    isInsecure,
    isOffline: readFlag(given.offline, at("offline")),
  };
}

const maxIdLength = 32;
const maxFetches = 64;

function isAlias(text: string): boolean {
  return parseOrigin(`http://${text}`) !== undefined && text === text.toLowerCase();
}

function readUrl(
  value: unknown,
  where: string,
  { isPrivate, isInsecure }: Pick<Upstream, "isPrivate" | "isInsecure">,
): string {
  const text = readText(value, where);
  const url = URL.parse(text);
  if (url === null || url.search !== "" || url.hash !== "")
    throw new Wrong(where, "an https URL without a query");
  if (url.protocol === "http:" && !isInsecure) throw new Wrong(where, 'https, unless "insecure" is true');
  // The scheme was checked; what is left is the address.
  const problem = targetProblem(text.replace(/^http:/, "https:"), isPrivate);
  if (problem !== undefined)
    throw new Wrong(
      where,
      'an https URL without credentials; at a private address only with "private": true',
    );
  return text.replace(/\/+$/, "");
}

function readList(
  value: unknown,
  where: string,
  isEntry: (text: string) => boolean,
  expected: string,
): string[] {
  const isList = Array.isArray(value) && value.every((entry) => typeof entry === "string" && isEntry(entry));
  if (!isList) throw new Wrong(where, expected);
  return value;
}

function readFlag(value: unknown = false, where: string): boolean {
  if (typeof value !== "boolean") throw new Wrong(where, "true or false");
  return value;
}

function readWord<const T extends string>(value: unknown, where: string, fallback: T, other: T): T {
  if (value === undefined || value === fallback) return fallback;
  if (value === other) return other;
  throw new Wrong(where, `${fallback} or ${other}`);
}

function readCount(value: unknown, where: string, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Wrong(where, `a whole number from 1 to ${max}`);
}

type Amounts = { parse: (text: string) => number | undefined; min: number; max: number; expected: string };

function durations(min: number, max: number): Amounts {
  return { parse: parseDuration, min, max, expected: "a duration such as 60s, 12h or 7d" };
}

function sizes(min: number, max: number): Amounts {
  return { parse: parseSize, min, max, expected: "a size such as 100GiB" };
}

function readAmount(
  value: unknown,
  where: string,
  { parse, min, max, expected }: Amounts,
): number | undefined {
  if (value === undefined) return undefined;
  const amount = typeof value === "string" ? parse(value) : undefined;
  if (amount === undefined || amount < min || amount > max) throw new Wrong(where, expected);
  return amount;
}

/**
 * Adds credentials. With them, or if everybody may pull, the repositories must have been written out: otherwise more is
 * given away than was meant.
 *
 * @param text the variable, which was parsed before
 */
export function withCredentials(
  upstreams: Upstream[],
  text: string,
  credentialOf: CredentialOf,
): ParsedUpstreams {
  const written = JSON.parse(text) as { repositories?: unknown }[];
  const value = upstreams.map((upstream) => {
    const credential = credentialOf(upstream.id);
    return credential === undefined ? upstream : { ...upstream, credential };
  });
  const wide = value.findIndex(
    ({ credential, visibility }, index) =>
      (credential !== undefined || visibility === "public") && written[index]?.repositories === undefined,
  );
  if (wide === -1) return { ok: true, value };
  return {
    ok: false,
    reason: `[${wide}].repositories must be written, ["**"] for all, as it has credentials or is public`,
  };
}

/** The repository of an upstream that a cached repository stands for. */
export type Cached = { upstream: Upstream; name: RepositoryName };

/** Which repository a request means: its canonical name here, and, if it is cached, what it stands for. */
export type Addressed = { repository: RepositoryName; cached?: Cached };

/**
 * The repository that a name means here: `dockerhub/alpine` is `dockerhub/library/alpine`. `undefined` where the
 * canonical name would be too long.
 */
export function addressByName(
  upstreams: readonly Upstream[],
  repository: RepositoryName,
): Addressed | undefined {
  const slash = repository.indexOf("/");
  const upstream = upstreams.find(({ id }) => id === repository.slice(0, slash));
  if (upstream === undefined) return { repository };
  return addressAt(upstream, repository.slice(slash + 1));
}

/** The canonical form of a name, such as one that a request mentions besides its own. */
export function canonicalName(upstreams: readonly Upstream[], repository: RepositoryName): RepositoryName {
  return addressByName(upstreams, repository)?.repository ?? repository;
}

/**
 * The repository that a name means where `?ns=` names one of the upstreams: never a local one. A client that is told
 * that the upstream is below a path (`override_path`) sends the id of the upstream as well.
 */
export function addressByAlias(
  upstreams: readonly Upstream[],
  alias: string,
  repository: RepositoryName,
): Addressed | undefined {
  const upstream = upstreams.find(({ aliases }) => aliases.includes(alias.toLowerCase()));
  if (upstream === undefined) return undefined;
  const prefix = `${upstream.id}/`;
  return addressAt(upstream, repository.startsWith(prefix) ? repository.slice(prefix.length) : repository);
}

function addressAt(upstream: Upstream, given: string): Addressed | undefined {
  const isOfficial = isDockerHub(upstream) && !given.includes("/");
  const name = parseRepositoryName(isOfficial ? `library/${given}` : given);
  const repository = name === undefined ? undefined : parseRepositoryName(`${upstream.id}/${name}`);
  if (name === undefined || repository === undefined) return undefined;
  return { repository, cached: { upstream, name } };
}

/** Docker Hub's official images may be named without `library/`. */
function isDockerHub({ url, aliases }: Upstream): boolean {
  return aliases.includes("docker.io") || new URL(url).hostname === "registry-1.docker.io";
}

/** Whether the upstream may be asked for a repository, by its name there. */
export function isAllowed({ upstream, name }: Cached): boolean {
  return upstream.repositories.some((pattern) => matchesPattern(pattern, name));
}

/** The name of the variable with a part of the credential: `UPSTREAM_<ID>_USERNAME`, with `_` for `-`. */
export function credentialVariable<const Part extends "USERNAME" | "PASSWORD">(
  id: string,
  part: Part,
): `UPSTREAM_${string}_${Part}` {
  return `UPSTREAM_${id.toUpperCase().replaceAll("-", "_")}_${part}`;
}
