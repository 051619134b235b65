/**
 * The record of a data directory of the versions of its data, so that the start of an earlier release can say that a
 * later one has been at work. Objects find that out by themselves, but only once they are called.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dataVersions } from "../data-versions.ts";
import { hasNoRoom, writeAtomically } from "./files.ts";

type Versions = Readonly<Record<string, number>>;

/** The file that has them. Earlier releases do not mind one that they do not know. */
export const versionsFile = "data-versions";

function read(file: string): Versions {
  try {
    const recorded: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof recorded !== "object" || recorded === null) return {};
    return Object.fromEntries(
      Object.entries(recorded).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
    );
  } catch {
    // It is new, or of a release before this record.
    return {};
  }
}

/**
 * Records the versions of data that this release may write. The highest is kept of each class.
 *
 * @returns a sentence if a later release may have changed data so that this one cannot read it
 */
export function recordDataVersions(
  dataDirectory: string,
  versions: Versions = dataVersions,
): string | undefined {
  const file = join(dataDirectory, versionsFile);
  const recorded = read(file);
  const later = Object.entries(recorded).filter(([kind, version]) => version > (versions[kind] ?? 0));
  const highest = { ...recorded, ...versions, ...Object.fromEntries(later) };
  const text = `${JSON.stringify(highest)}\n`;
  if (JSON.stringify(recorded) !== text.trimEnd()) {
    try {
      writeAtomically(file, text);
    } catch (error) {
      if (!hasNoRoom(error)) throw error;
    }
  }
  if (later.length === 0) return undefined;
  const kinds = later.map(([kind]) => kind).join(", ");
  return (
    `a later release has run on the data directory ${dataDirectory}. What it changed, this release may not be able to ` +
    `read (${kinds}), and answers with 503. GET /healthz counts it. To reach it, start the later release again`
  );
}
