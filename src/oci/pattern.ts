/**
 * Patterns of names of repositories, and of tags. Whatever the pattern, matching takes at most its length times that of
 * the name.
 *
 * - `*` matches any text within one segment of a name, the empty one too;
 * - `?` matches one character;
 * - `[a-z]`, `[0-9]`, `[abx-z]` match one of these characters;
 * - the segment `**` matches one or more segments. Tags have one segment.
 */

/** The maximal length of a pattern, in characters. */
export const maxPatternLength = 255;

const oneOf = String.raw`\[(?:[a-zA-Z0-9](?:-[a-zA-Z0-9])?|[._])+\]`;
const segmentGrammar = new RegExp(`^(?:[a-z0-9._*?-]|${oneOf.replaceAll("a-zA-Z", "a-z")})+$`);
const tagGrammar = new RegExp(`^(?:[a-zA-Z0-9._*?-]|${oneOf})+$`);

/** Whether a text is a pattern of names of repositories. */
export function isPattern(text: string): boolean {
  return text.length <= maxPatternLength && text.split("/").every(isSegmentPattern);
}

/** Whether a text is a pattern of tags. */
export function isTagPattern(text: string): boolean {
  return text.length <= maxPatternLength && isPatternIn(tagGrammar, text);
}

/** Whether a pattern matches a whole name. */
export function matchesPattern(pattern: string, name: string): boolean {
  return pattern === "**" || matchSegments(pattern.split("/"), name.split("/"), matchesSegment);
}

/** Whether a pattern of tags matches a whole tag. */
export function matchesTagPattern(pattern: string, tag: string): boolean {
  return matchesSegment(pattern, tag);
}

/** Whether a pattern matches a whole text of any characters, where of all signs only stars are more than themselves. */
export function matchesText(pattern: string, text: string): boolean {
  return pattern === "**" || matchSegments(pattern.split("/"), text.split("/"), matchesStars);
}

/**
 * A name that a pattern of names matches, or a tag that a pattern of tags matches: to show what a pattern means. It
 * may be too long for a name, or begin or end with a sign that none may begin or end with.
 */
export function exampleOf(pattern: string): string {
  if (pattern === "**" || pattern === "*") return "app";
  return pattern
    .split("/")
    .map((segment, index, all) => {
      if (segment === "**" || segment === "*") return index === all.length - 1 ? "app" : "team";
      return exampleOfSegment(segment);
    })
    .join("/");
}

/** A star is the text that looks most like a name: nothing after a letter or digit, otherwise a digit. */
function exampleOfSegment(segment: string): string {
  const signs = segment.match(/\[[^\]]*\]|./g) ?? [];
  return signs.reduce((example, sign) => {
    if (sign === "*") return /[a-zA-Z0-9]$/.test(example) && signs.length > 1 ? example : `${example}1`;
    if (sign === "?") return `${example}1`;
    if (!sign.startsWith("[")) return example + sign;
    return example + (afterOne(sign, 0, "1") === undefined ? (sign[1] ?? "") : "1");
  }, "");
}

function isSegmentPattern(segment: string): boolean {
  return segment === "**" || isPatternIn(segmentGrammar, segment);
}

function isPatternIn(grammar: RegExp, text: string): boolean {
  return (
    grammar.test(text) && !text.includes("**") && rangesOf(text).every(([from = "", to = ""]) => from <= to)
  );
}

function rangesOf(text: string): string[][] {
  const sets = text.match(/\[[^\]]*\]/g) ?? [];
  return sets.flatMap((set) =>
    Array.from(set.matchAll(/([a-zA-Z0-9])-([a-zA-Z0-9])/g), ([, ...ends]) => ends),
  );
}

/** Greedy, with one place to backtrack to. */
function matchSegments(
  pattern: string[],
  name: string[],
  matches: (pattern: string, text: string) => boolean,
): boolean {
  let p = 0;
  let n = 0;
  let starAt = -1;
  let starUntil = 0;
  while (n < name.length) {
    if (pattern[p] === "**") {
      starAt = p++;
      starUntil = ++n;
    } else if (p < pattern.length && matches(pattern[p] ?? "", name[n] ?? "")) {
      p++;
      n++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      n = ++starUntil;
    } else return false;
  }
  return p === pattern.length;
}

function matchesSegment(pattern: string, segment: string): boolean {
  if (!/[?[]/.test(pattern)) return matchesStars(pattern, segment);
  let p = 0;
  let n = 0;
  let starAt = -1;
  let starUntil = 0;
  while (n < segment.length) {
    const next = pattern[p] === "*" ? p : afterOne(pattern, p, segment[n] ?? "");
    if (pattern[p] === "*") {
      starAt = p++;
      starUntil = n;
    } else if (next !== undefined) {
      p = next;
      n++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      n = ++starUntil;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** Where a pattern goes on after one character of a name; `undefined` if it does not match that character. */
function afterOne(pattern: string, at: number, character: string): number | undefined {
  const sign = pattern[at];
  if (sign === "?") return /[a-zA-Z0-9._-]/.test(character) ? at + 1 : undefined;
  if (sign !== "[") return sign === character ? at + 1 : undefined;
  const end = pattern.indexOf("]", at);
  for (let index = at + 1; index < end; index++) {
    const first = pattern[index] ?? "";
    const isRange = pattern[index + 1] === "-";
    const last = isRange ? (pattern[index + 2] ?? "") : first;
    if (first <= character && character <= last) return end + 1;
    if (isRange) index += 2;
  }
  return undefined;
}

function matchesStars(pattern: string, segment: string): boolean {
  const pieces = pattern.split("*");
  const first = pieces.shift() ?? "";
  const last = pieces.pop();
  if (last === undefined) return pattern === segment;
  if (!segment.startsWith(first) || segment.length < first.length + last.length || !segment.endsWith(last))
    return false;
  const end = segment.length - last.length;
  let from = first.length;
  for (const piece of pieces) {
    const found = segment.indexOf(piece, from);
    if (found < 0 || found + piece.length > end) return false;
    from = found + piece.length;
  }
  return true;
}
