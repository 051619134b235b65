/** Orders of tags. The one that people expect: the latest version first, then names that are no versions, by name. */

/** The orders in which tags are listed. */
export const tagOrders = ["name", "version", "pushed", "used", "size"] as const;

/** One of {@link tagOrders}. */
export type TagOrder = (typeof tagOrders)[number];

type Version = { numbers: number[]; rest: string };

/** A tag as a version: `v1.10.0-rc.1`; `undefined` for other names. Source: Semantic Versioning 2.0.0, 11. */
function versionOf(tag: string): Version | undefined {
  const match = /^v?(\d{1,15}(?:\.\d{1,15})*)(?:[-+_.](.*))?$/i.exec(tag);
  if (match === null) return undefined;
  const [, numbers = "", rest = ""] = match;
  return { numbers: numbers.split(".").map(Number), rest };
}

/** Sorts tags: the latest version first, a release before its pre-releases, then other names. */
export function sortByVersion<T extends string>(tags: readonly T[]): T[] {
  const known = tags.map((tag) => ({ tag, version: versionOf(tag) }));
  return known
    .sort(({ tag, version }, other) => {
      if (version === undefined || other.version === undefined) {
        return (
          Number(version === undefined) - Number(other.version === undefined) || compareText(tag, other.tag)
        );
      }
      return -compareVersions(version, other.version) || compareText(tag, other.tag);
    })
    .map(({ tag }) => tag);
}

function compareVersions(one: Version, other: Version): number {
  const length = Math.max(one.numbers.length, other.numbers.length);
  for (let index = 0; index < length; index++) {
    // A tag with fewer numbers moves along with the latest that begins like it, and stands behind those: `1.2`.
    const difference = (one.numbers[index] ?? -1) - (other.numbers[index] ?? -1);
    if (difference !== 0) return difference;
  }
  if (one.rest === other.rest) return 0;
  if (one.rest === "" || other.rest === "") return one.rest === "" ? 1 : -1;
  return compareText(one.rest, other.rest, true);
}

/** Compares texts; `isNumeric`: numbers in them by their value. */
function compareText(one: string, other: string, isNumeric = false): number {
  if (!isNumeric) return one < other ? -1 : one > other ? 1 : 0;
  return collator.compare(one, other);
}

const collator = new Intl.Collator("en", { numeric: true });
