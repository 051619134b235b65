/**
 * Finds repositories and tags among those that the caller may see. Whatever the caller typed is data: it is bound, and
 * quoted for the index of texts.
 */
import { fixedPrefix } from "../../oci/grant.ts";
import { matchesPattern } from "../../oci/pattern.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import type {
  FoundRepository,
  FoundTag,
  SearchOrder,
  SearchPage,
  SearchQuery,
} from "../../rpc/search-api.ts";
import { eachRow } from "../sql.ts";

/** The length from which on a word is found anywhere; a shorter one is found where a segment of a name begins. */
const shortestIndexed = 3;

/** How many words of a text count. */
const maxWords = 8;

type RepositoryRow = Omit<FoundRepository, "kinds" | "platforms"> & { kinds: string; platforms: string };

/** A condition in SQL with the values that it binds. */
type Condition = { sql: string; values: (string | number | null)[] };

/** A page of the repositories that match. */
export function findRepositories(
  sql: SqlStorage,
  hasText: boolean,
  query: SearchQuery,
): SearchPage<FoundRepository> {
  const words = wordsOf(query.text);
  const where = all([...matching(words, hasText, seesAll(query)), ...filters(query), visible(query)]);
  const order = orderOf(query.order, words[0]);
  const found = (limit: number) =>
    eachRow<RepositoryRow>(
      sql,
      `SELECT name, visibility, description, tags, size AS sizeBytes, pushed_at AS pushedAtMs, pushed_by AS pushedBy,
         used_day AS usedDay, kinds, platforms, pulls, last_pulled_at AS lastPulledAtMs
       FROM repositories WHERE ${where.sql} ORDER BY ${order.sql} LIMIT ?`,
      ...where.values,
      ...order.values,
      limit,
    );
  const { entries, next } = pageOf(found, query, ({ name, visibility }) => ({ name, visibility }));
  const shown = entries.map(({ kinds, platforms, ...entry }) => {
    return { ...entry, kinds: JSON.parse(kinds), platforms: JSON.parse(platforms) };
  });
  return { entries: shown, next };
}

/** A page of the tags that match: `name:tag`, the beginning of a tag, or the beginning of a digest. */
export function findTags(sql: SqlStorage, hasText: boolean, query: SearchQuery): SearchPage<FoundTag> {
  const text = query.text.trim();
  const isDigest = /^sha(256|512):/.test(text);
  const colon = isDigest ? 0 : text.lastIndexOf(":");
  const words = isDigest || colon < 0 ? [] : wordsOf(text.slice(0, colon));
  const wanted = isDigest ? text.toLowerCase() : text.slice(colon + 1);
  const column = isDigest ? "digest" : "tag";
  if (wanted === "" && words.length === 0) return { entries: [], next: undefined };
  const where = all([
    ...matching(words, hasText, seesAll(query)),
    ...filters(query),
    visible(query, "tags.repository"),
    { sql: `tags.${column} >= ? AND tags.${column} < ?`, values: [wanted, `${wanted}\u{10ffff}`] },
  ]);
  const found = (limit: number) =>
    eachRow<FoundTag & { visibility: string }>(
      sql,
      `SELECT name AS repository, tag, digest, visibility FROM tags JOIN repositories ON id = tags.repository
       WHERE ${where.sql} ORDER BY tag, tags.repository LIMIT ?`,
      ...where.values,
      limit,
    );
  const page = pageOf(found, query, ({ repository, visibility }) => ({ name: repository, visibility }));
  return { ...page, entries: page.entries.map(({ visibility: _, ...tag }) => tag) };
}

/** The words of a text, in lower case. For the index of texts, a zero would end it. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().replaceAll("\0", " ").split(/\s+/).filter(Boolean).slice(0, maxWords);
}

/** The conditions for words: all long ones are one question to the index of texts. */
function matching(words: string[], hasText: boolean, leads: boolean): Condition[] {
  const isLong = (word: string) => [...word].length >= shortestIndexed;
  const short = words.filter((word) => !isLong(word));
  const long = words.filter(isLong);
  const conditions = short.map(
    (word): Condition => ({ sql: "instr('/' || name, '/' || ?) > 0", values: [word] }),
  );
  if (long.length === 0) return conditions;
  if (!hasText) return [...conditions, ...long.map(containing)];
  const quoted = long.map((word) => `"${word.replaceAll('"', '""')}"`).join(" AND ");
  // The plus keeps what the caller may see in the lead, which is less than what matches, for most callers.
  const id = leads ? "repositories.id" : "+repositories.id";
  const found = "SELECT rowid FROM repository_text WHERE repository_text MATCH ?";
  return [...conditions, { sql: `${id} IN (${found})`, values: [quoted] }];
}

function containing(word: string): Condition {
  return { sql: "(instr(name, ?) > 0 OR instr(lower(description), ?) > 0)", values: [word, word] };
}

/** Whether the caller may see every repository. */
function seesAll({ readable }: SearchQuery): boolean {
  return readable.every((patterns) => patterns.includes("**"));
}

function filters({ kind, platform, visibility }: SearchQuery): Condition[] {
  const found: Condition[] = [];
  if (visibility !== undefined) found.push({ sql: "visibility = ?", values: [visibility] });
  if (kind !== undefined) found.push({ sql: "instr(kinds, ?) > 0", values: [JSON.stringify(kind)] });
  if (platform !== undefined) {
    found.push({ sql: "instr(platforms, ?) > 0", values: [JSON.stringify(platform)] });
  }
  return found;
}

function orderOf(order: SearchOrder, word: string | undefined): Condition {
  switch (order) {
    case "relevance":
      if (word === undefined) return { sql: "name", values: [] };
      return {
        // No LIKE: its patterns have at most 50 bytes on the platform.
        sql: `CASE WHEN name = ?1 THEN 0 WHEN substr('/' || name, -1 - length(?1)) = '/' || ?1 THEN 1
          WHEN instr('/' || name, '/' || ?1) > 0 THEN 2 WHEN instr(name, ?1) > 0 THEN 3 ELSE 4 END,
          pulls DESC, name`.replaceAll("?1", "?"),
        values: [word, word, word, word, word],
      };
    case "name":
      return { sql: "name", values: [] };
    case "pushed":
      return { sql: "pushed_at DESC, name", values: [] };
    case "pulled":
      return {
        sql: "max(coalesce(used_day, 0), coalesce(last_pulled_at / 86400000, 0)) DESC, name",
        values: [],
      };
    case "pulls":
      return { sql: "pulls DESC, name", values: [] };
    case "size":
      return { sql: "size DESC, name", values: [] };
  }
}

/**
 * What the caller may see, as ranges of names and public repositories, both found by an index. A pattern with a star or
 * a class in the middle allows less than its range: {@link pageOf} looks at that.
 */
function visible({ readable }: SearchQuery, column = "repositories.id"): Condition {
  const narrowing = readable.filter((patterns) => !patterns.includes("**"));
  if (narrowing.length === 0) return { sql: "1", values: [] };
  const sets = narrowing.map(
    () => `SELECT named.id FROM json_each(?) AS range
      CROSS JOIN repositories AS named ON named.name >= range.value ->> 0 AND named.name < range.value ->> 1`,
  );
  return {
    sql: `${column} IN (SELECT id FROM repositories WHERE visibility = 'public'
      UNION SELECT id FROM (${sets.join(" INTERSECT ")}))`,
    values: narrowing.map((patterns) => JSON.stringify(patterns.map(rangeOf))),
  };
}

/** The range of names that a pattern could match: from the first text, up to but without the second. */
function rangeOf(pattern: string): [from: string, until: string] {
  const prefix = fixedPrefix(pattern);
  return [prefix, prefix === pattern ? `${pattern}\0` : `${prefix}\u{10ffff}`];
}

function isReadable(name: RepositoryName, visibility: string, readable: string[][]): boolean {
  if (visibility === "public") return true;
  return readable.every((patterns) => patterns.some((pattern) => matchesPattern(pattern, name)));
}

/**
 * A page of the rows that the caller may see. Only those are counted, so neither the length of a page nor the beginning
 * of the next one says anything about the others. `found`: the first rows, at most `limit` of them, some of which may be
 * hidden from the caller. If too many are, four times as many are read.
 */
function pageOf<T>(
  found: (limit: number) => Iterable<T>,
  { readable, limit, offset }: SearchQuery,
  facts: (entry: T) => { name: RepositoryName; visibility: string },
): SearchPage<T> {
  for (let most = offset + limit + 1; ; most *= 4) {
    const entries: T[] = [];
    let read = 0;
    let seen = 0;
    for (const entry of found(most)) {
      read++;
      const { name, visibility } = facts(entry);
      if (!isReadable(name, visibility, readable)) continue;
      if (seen++ < offset) continue;
      if (entries.length === limit) return { entries, next: offset + limit };
      entries.push(entry);
    }
    if (read < most) return { entries, next: undefined };
  }
}

function all(conditions: Condition[]): Condition {
  return {
    sql: conditions.map(({ sql }) => sql).join(" AND ") || "1",
    values: conditions.flatMap(({ values }) => values),
  };
}
