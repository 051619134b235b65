/** What the fetches of an object share. */
import type { Settings } from "../../settings/settings.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { DiskSpace } from "../../storage/disk-space.ts";
import type { DueTable } from "../due.ts";
import type { TransactionalStorage, Tx } from "../sql.ts";
import type { UploadTables } from "../upload/schema.ts";
import type { Asker } from "./ask.ts";
import type { FetchStore } from "./store.ts";

/** The object that keeps the fetches. */
export type FetchHost = Asker & {
  settings: Settings;
  bucket: Bucket;
  /** The room on the disk, if that is watched. */
  space: DiskSpace | undefined;
  storage: TransactionalStorage;
  store: FetchStore;
  tables: UploadTables;
  due: DueTable;
  change(work: (tx: Tx) => void): void;
};

/** The job that goes on with fetches whose object forgot them, and deletes what was given up. */
export const resumeJob = "resume";

/** How often it is looked whether a fetch is still under way, in milliseconds. */
export const resumeEveryMs = 5_000;
