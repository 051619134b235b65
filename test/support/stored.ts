/** What the bucket of a local registry has, read from its files: asking the bucket itself takes a call for each key. */
import { globSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { foldersOf } from "../../src/local/data-layout.ts";
import { wholesFolder } from "../../src/storage/disk-files.ts";
import type { BucketKind } from "./miniflare/options.ts";

/** The bytes that one data directory holds. */
export type Stored = {
  /** The keys of all blobs, in order. */
  blobKeys(): string[];
  /** How many bytes they have together, with those of parts, and of what a writer left behind. */
  bytes(): number;
  /** How many multipart uploads are open. */
  openMultiparts(): number;
};

/** What is stored in a data directory whose bucket is of this kind. */
export function storedIn(dataDirectory: string, kind: BucketKind): Stored {
  return kind === "disk" ? storedOnDisk(foldersOf(dataDirectory).files) : storedInR2(dataDirectory);
}

function storedOnDisk(files: string): Stored {
  const blobs = join(files, "blobs");
  const folders = (isAmong: (names: string[]) => boolean) =>
    namesIn(blobs)
      .filter((name) => isAmong(namesIn(join(blobs, name))))
      .sort();
  return {
    blobKeys: () => {
      const names = new Set([...folders(({ length }) => length > 0), ...namesIn(join(files, wholesFolder))]);
      return [...names].sort().map((name) => `blobs/${name}`);
    },
    bytes: () =>
      globSync(join(files, "**", "{*,.*}"))
        // The list of a blob's parts is no part of it.
        .filter((path) => basename(path) !== "index")
        .map((path) => statSync(path, { throwIfNoEntry: false }))
        .reduce((sum, stat) => sum + (stat?.isFile() ? stat.size : 0), 0),
    openMultiparts: () => folders((names) => !names.includes("whole") && !names.includes("index")).length,
  };
}

/** What is in a folder: nothing, if there is none, or it is deleted just now. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function storedInR2(dataDirectory: string): Stored {
  const rows = (table: string, sql: string) => {
    const found: unknown[] = [];
    for (const file of globSync(join(dataDirectory, "r2/**/*.sqlite"))) {
      const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
      const hasTable =
        database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
      if (hasTable) found.push(...database.prepare(sql).all().map(Object.values));
      database.close();
    }
    return found.flat();
  };
  return {
    blobKeys: () => rows("_mf_objects", "SELECT key FROM _mf_objects ORDER BY key").map(String),
    bytes: () =>
      [
        ...rows("_mf_objects", "SELECT size FROM _mf_objects"),
        ...rows("_mf_multipart_parts", "SELECT size FROM _mf_multipart_parts WHERE object_key IS NULL"),
      ].reduce((sum: number, size) => sum + Number(size), 0),
    openMultiparts: () =>
      rows("_mf_multipart_uploads", "SELECT upload_id FROM _mf_multipart_uploads WHERE state = 0").length,
  };
}
