/** Where below a directory the layouts of repositories are. */
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseRepositoryName, type RepositoryName } from "../../oci/reference.ts";
import type { Attempts } from "../attempts.ts";
import { Layout } from "./layout.ts";

/** Names that a layout uses itself; a part of a repository's name may be the same. */
const ownNames = ["blobs", "index.json", "oci-layout"];

/** The directory of a repository: its name, with a `%` before parts that a layout uses itself. */
export function directoryOf(repository: string): string {
  const parts = repository.split("/");
  return join(...parts.map((part) => (ownNames.includes(part) ? `%${part}` : part)));
}

/** The part of a repository's name that a directory stands for; `undefined` if it stands for none. */
function partOf(name: string): string | undefined {
  if (ownNames.includes(name)) return undefined;
  if (ownNames.some((own) => name === `%${own}`)) return name.slice(1);
  return parseRepositoryName(name);
}

/** The layouts that were found, by the names of their repositories, and directories that could not be read. */
export type FoundLayouts = { layouts: [RepositoryName, Layout][]; failed: Attempts["failed"] };

/**
 * Finds the layouts below a directory, also through symbolic links. Links that lead to nothing, and directories whose
 * names are no part of a repository's name, are left alone.
 *
 * @throws an error of the file system if the directory itself cannot be read
 */
export async function findLayouts(directory: string): Promise<FoundLayouts> {
  const found: FoundLayouts = { layouts: [], failed: [] };
  await search(directory, [], [await realpath(directory)], found);
  found.layouts.sort(([a], [b]) => (a < b ? -1 : 1));
  return found;
}

/** @param above the directories on the way, as they are without links: a link may lead back to one of them */
async function search(
  directory: string,
  parts: string[],
  above: readonly string[],
  found: FoundLayouts,
): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true });
  const name = parseRepositoryName(parts.join("/"));
  if (name !== undefined && entries.some((entry) => entry.name === "oci-layout")) {
    found.layouts.push([name, new Layout(directory)]);
  }
  for (const entry of entries) {
    const part = partOf(entry.name);
    if (part === undefined || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    const path = join(directory, entry.name);
    const below = [...parts, part];
    try {
      if (!(await isDirectory(path))) continue;
      const real = await realpath(path);
      if (!above.includes(real)) await search(path, below, [...above, real], found);
    } catch (error) {
      if (!(error instanceof Error && "syscall" in error)) throw error;
      found.failed.push({ name: below.join("/"), reason: error.message });
    }
  }
}

/** Whether a directory is at a path, or at the end of a link there. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
