/** What lies where in a data directory, and what earlier releases left in it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The folders of a data directory. */
export interface DataLayout {
  /** The SQLite files of the Durable Objects, in a folder a class. */
  objects: string;
  /** The files of blobs (storage/disk-bucket.ts). */
  files: string;
}

/** A data directory has what this release does not read; the message says what to do. */
export class DataLayoutError extends Error {
  override name = "DataLayoutError";
}

/** What earlier releases kept for Miniflare, and nothing reads: copies, and what is made anew. */
const obsolete = ["kv", "cache", "workflows", "r2"];

/** Where the folders of a data directory are. */
export function layoutOf(dataDirectory: string): DataLayout {
  return { objects: join(dataDirectory, "do"), files: join(dataDirectory, "files") };
}

/**
 * Makes the folders, and removes those that nothing reads any more. The file `bucket` says that blobs are in files, so
 * that an earlier release, which could have them elsewhere, looks there too.
 *
 * @throws DataLayoutError if the blobs are not in files
 */
export function settleLayout(dataDirectory: string): DataLayout {
  const layout = layoutOf(dataDirectory);
  const record = join(dataDirectory, "bucket");
  const kind = existsSync(record) ? readFileSync(record, "utf8").trim() : guessKind(dataDirectory, layout);
  if (kind !== "disk") {
    throw new DataLayoutError(
      `the blobs of the data directory ${dataDirectory} are not in files: start the release that wrote it, ` +
        "copy its images out with `stowage export`, and into a new directory with `stowage import`",
    );
  }
  for (const folder of Object.values(layout)) mkdirSync(folder, { recursive: true });
  if (!existsSync(record)) writeFileSync(record, "disk\n");
  for (const folder of obsolete) rmSync(join(dataDirectory, folder), { recursive: true, force: true });
  return layout;
}

/** Before there was the record, blobs were in `r2`; a directory that has neither is new. */
function guessKind(dataDirectory: string, { files }: DataLayout): "disk" | "r2" {
  return !existsSync(files) && existsSync(join(dataDirectory, "r2")) ? "r2" : "disk";
}
