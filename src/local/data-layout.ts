/** The contents of a data directory, the number of its shards, and files that earlier releases left in it. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isShardCount, type Machine, maxBlobShards } from "../machine.ts";
import { versionsFile } from "./data-record.ts";
import { writeAtomically } from "./files.ts";

/** The folders of a data directory. */
export interface DataFolders {
  /** The SQLite files of the Durable Objects, in a folder a class. */
  objects: string;
  /** The files of blobs (storage/disk-bucket.ts). */
  files: string;
}

/** The layout of a data directory. */
export interface DataLayout {
  folders: DataFolders;
  /** How the work on it is divided: it keeps the number of shards that it was created with. */
  machine: Machine;
}

/** A data directory has a layout that this release does not read; the message says what to do. */
export class DataLayoutError extends Error {
  override name = "DataLayoutError";
}

/**
 * How many shards a new data directory has. All objects share one thread and one disk, so that several would do nothing
 * at the same time: one does the same with fewer files to sync, and what several pushes write at once is one sync.
 */
const newShards = 1;

/** How many objects all upload sessions share: creating one per session would take a dozen syncs each. */
const uploadPools = 4;

/** How many objects have the index of names. If it changes, the index of every directory has to be built again. */
const nameIndexes = 1;

/** Data of earlier releases that is no longer read: copies for Miniflare, and the reserve file under its old name. */
const obsolete = ["kv", "cache", "workflows", "r2", "ballast"];

/** The paths of the folders of a data directory. */
export function foldersOf(dataDirectory: string): DataFolders {
  return { objects: join(dataDirectory, "do"), files: join(dataDirectory, "files") };
}

/**
 * Makes the folders, and removes what nothing reads any more. The file `bucket` says that blobs are in files, as in
 * earlier releases, which could have them elsewhere. The number of shards follows it, so that releases that do not know
 * that number refuse the directory: they would not find its digests, and take its bytes for orphaned objects.
 *
 * @throws DataLayoutError if the blobs are not in files, or the file is gone or says something else
 */
export function prepareLayout(dataDirectory: string): DataLayout {
  const folders = foldersOf(dataDirectory);
  const record = join(dataDirectory, "bucket");
  const { bucket, blobShards } = readRecord(record) ?? guess(dataDirectory, folders);
  if (bucket === "r2") {
    throw new DataLayoutError(
      `the blobs of the data directory ${dataDirectory} are not in files: start the release that wrote it, ` +
        "copy its images out with `stowage export`, and into a new directory with `stowage import`",
    );
  }
  // Before the folders: without the record, they would pass for those of a release that had another number of shards.
  if (!existsSync(record)) {
    writeAtomically(record, blobShards === maxBlobShards ? "disk\n" : `disk shards=${blobShards}\n`);
  }
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  syncDirectory(dataDirectory);
  for (const name of obsolete) rmSync(join(dataDirectory, name), { recursive: true, force: true });
  return { folders, machine: { blobShards, uploadPools, nameIndexes } };
}

/** Makes the names in a directory survive a power cut. */
function syncDirectory(path: string): void {
  // Windows keeps names by itself, and cannot open directories.
  if (process.platform === "win32") return;
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

type Recorded = { bucket: "disk" | "r2"; blobShards: number };

function readRecord(file: string): Recorded | undefined {
  if (!existsSync(file)) return undefined;
  const [, bucket, shards = String(maxBlobShards)] =
    /^(disk|r2)(?: shards=(\d+))?$/.exec(readFileSync(file, "utf8").trim()) ?? [];
  const blobShards = Number(shards);
  if ((bucket === "disk" || bucket === "r2") && isShardCount(blobShards)) return { bucket, blobShards };
  throw new DataLayoutError(
    `the file ${file} must say how blobs are kept, such as: disk shards=${newShards}`,
  );
}

/**
 * The layout of a directory without the record: it is new, or older than the record. Releases that record versions of data
 * (data-record.ts) have written this one before; of a directory that is theirs, no guess is good enough.
 */
function guess(dataDirectory: string, { objects, files }: DataFolders): Recorded {
  const hasData = existsSync(objects) || existsSync(files);
  if (hasData && existsSync(join(dataDirectory, versionsFile))) {
    throw new DataLayoutError(
      `the data directory ${dataDirectory} has data, and its file bucket is gone, which says how the data is divided: ` +
        "with a wrong guess no blob would be found, and in the end all would be deleted. Put the file back from a copy " +
        "of the directory",
    );
  }
  if (existsSync(files)) return { bucket: "disk", blobShards: maxBlobShards };
  if (existsSync(join(dataDirectory, "r2"))) return { bucket: "r2", blobShards: maxBlobShards };
  return { bucket: "disk", blobShards: newShards };
}
