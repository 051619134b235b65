/**
 * Versions in tags, and which of two is newer: the one order that lists of tags and policies go by.
 *
 * Source: Semantic Versioning 2.0.0, sections 2, 9 and 11. Tags of images differ from it in three ways: they may begin
 * with `v`; they may leave out numbers, such as `1.2`, and then move along with the newest version that they stand for;
 * and where a version has its pre-release, they may say what was built, such as `1.2.3-alpine3.19`.
 */

/** The orders in which tags are listed. */
export const tagOrders = ["name", "version", "pushed", "used", "size"] as const;

/** One of {@link tagOrders}. */
export type TagOrder = (typeof tagOrders)[number];

/** A tag that is a version. */
export interface Version {
  /** Major, minor, patch, and more where the tag has more. */
  numbers: bigint[];
  /** The identifiers of its pre-release, such as `rc` and `1`; none for a release. */
  preRelease: string[];
  /** What was built, such as `alpine`, without digits and dots; empty for a version alone. */
  family: string;
  /** Whether it has fewer than three numbers, and so stands for the newest version that begins with them. */
  isAlias: boolean;
}

const preReleaseWords = "alpha|beta|rc|preview|pre|dev|snapshot|nightly";
const grammar = new RegExp(
  String.raw`^v?(\d+(?:\.\d+)*)(?:(?:[-_]+|\.(?=[a-z]))(.+)|((?:${preReleaseWords}).*))?$`,
  "i",
);
const preReleaseStart = new RegExp(String.raw`^(?:\d|${preReleaseWords})`, "i");

/** The version that a tag is; `undefined` if it is none, such as `latest`. */
export function parseVersion(tag: string): Version | undefined {
  const [, digits, separated, attached] = grammar.exec(tag) ?? [];
  if (digits === undefined) return undefined;
  const numbers = digits.split(".").map(BigInt);
  const suffix = separated ?? attached ?? "";
  const isPreRelease = preReleaseStart.test(suffix);
  return {
    numbers,
    preRelease: isPreRelease ? suffix.split(/[._-]+/).flatMap(wordsAndNumbers) : [],
    family: isPreRelease ? "" : suffix.replace(/[\d.]/g, "").toLowerCase(),
    isAlias: numbers.length < 3,
  };
}

/**
 * Compares two versions by their precedence: negative if the first is older, positive if it is newer, 0 if neither is,
 * such as `1.2.3` and `v1.2.3`. A number that one of them leaves out is lower than any: `1.2` stands behind `1.2.0`.
 * Families make no difference.
 */
export function compareVersions(one: Version, other: Version): number {
  const length = Math.max(one.numbers.length, other.numbers.length);
  for (let index = 0; index < length; index++) {
    const a = one.numbers[index] ?? -1n;
    const b = other.numbers[index] ?? -1n;
    if (a !== b) return a < b ? -1 : 1;
  }
  return comparePreReleases(one.preRelease, other.preRelease);
}

/**
 * Sorts tags as people look for them: the newest version first; of one version, the release before those that say what
 * was built, by family; then the tags that are no versions, by name.
 */
export function sortByVersion<T extends string>(tags: readonly T[]): T[] {
  return tags
    .map((tag) => ({ tag, version: parseVersion(tag) }))
    .sort((one, other) => {
      if (one.version === undefined || other.version === undefined) {
        const isLater = Number(one.version === undefined) - Number(other.version === undefined);
        return isLater || compareTexts(one.tag, other.tag);
      }
      return (
        compareVersions(other.version, one.version) ||
        compareTexts(one.version.family, other.version.family) ||
        // `alpine3.20` before `alpine3.19`.
        byNumbers.compare(other.tag, one.tag) ||
        compareTexts(one.tag, other.tag)
      );
    })
    .map(({ tag }) => tag);
}

const byNumbers = new Intl.Collator("en", { numeric: true });

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

/** `rc10` as `rc` and `10`: semver compares them as texts, and then rc10 would be older than rc9. */
function wordsAndNumbers(identifier: string): string[] {
  const [, word, digits] = /^([a-z]+)(\d+)$/i.exec(identifier) ?? [];
  return word === undefined || digits === undefined ? [identifier] : [word, digits];
}

function comparePreReleases(one: string[], other: string[]): number {
  // A release is newer than its pre-releases.
  if (one.length === 0 || other.length === 0) return Math.sign(other.length - one.length);
  for (let index = 0; index < Math.min(one.length, other.length); index++) {
    const compared = compareIdentifiers(one[index] ?? "", other[index] ?? "");
    if (compared !== 0) return compared;
  }
  return one.length - other.length;
}

/** Numbers as numbers, words as texts, and numbers before words. */
function compareIdentifiers(one: string, other: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  if (!isNumber) return compareTexts(one.toLowerCase(), other.toLowerCase());
  const [a, b] = [BigInt(one), BigInt(other)];
  return a < b ? -1 : Number(a > b);
}
