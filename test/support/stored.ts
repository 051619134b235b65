/** What the bucket of a local registry has, read from its files: asking the bucket itself takes a call for each key. */
import { existsSync, globSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type BucketKind, filesDirectory } from "../../src/local/bucket-kind.ts";

/** The bytes that one data directory holds. */
export type Stored = {
  /** The keys of all blobs, in order. */
  blobKeys(): string[];
  /** How many multipart uploads are open. */
  openMultiparts(): number;
};

/** What is stored in a data directory whose bucket is of this kind. */
export function storedIn(dataDirectory: string, kind: BucketKind): Stored {
  return kind === "disk" ? storedOnDisk(filesDirectory(dataDirectory)) : storedInR2(dataDirectory);
}

function storedOnDisk(files: string): Stored {
  const blobs = join(files, "blobs");
  const folders = (isAmong: (names: string[]) => boolean) =>
    existsSync(blobs)
      ? readdirSync(blobs)
          .filter((name) => isAmong(readdirSync(join(blobs, name))))
          .sort()
      : [];
  return {
    blobKeys: () => folders(({ length }) => length > 0).map((name) => `blobs/${name}`),
    openMultiparts: () => folders((names) => !names.includes("whole") && !names.includes("index")).length,
  };
}

function storedInR2(dataDirectory: string): Stored {
  const rows = (table: string, sql: string) => {
    const found: unknown[] = [];
    for (const file of globSync(join(dataDirectory, "r2/**/*.sqlite"))) {
      const database = new DatabaseSync(file, { readOnly: true });
      const hasTable =
        database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
      if (hasTable) found.push(...database.prepare(sql).all().map(Object.values));
      database.close();
    }
    return found.flat();
  };
  return {
    blobKeys: () => rows("_mf_objects", "SELECT key FROM _mf_objects ORDER BY key").map(String),
    openMultiparts: () =>
      rows("_mf_multipart_uploads", "SELECT upload_id FROM _mf_multipart_uploads WHERE state = 0").length,
  };
}
