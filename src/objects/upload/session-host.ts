import type { Clock } from "../../clock.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { DiskSpace } from "../../storage/disk-space.ts";
import type { DueTable } from "../due.ts";
import type { ObjectBindings } from "../stubs.ts";
import type { UploadTables } from "./schema.ts";

/** What sessions share: the object that keeps them. */
export type SessionHost = {
  objects: ObjectBindings;
  clock: Clock;
  settings: Settings;
  bucket: Bucket;
  /** The room for bytes, where that is watched. */
  space: DiskSpace | undefined;
  storage: DurableObjectStorage;
  due: DueTable;
  tables: UploadTables;
  /** Keeps the object awake for work whose request has gone, and reports what came of it. */
  hold(work: Promise<unknown>): void;
  /** Has `Session.keepOutcome` called once the answer is on its way. */
  keepOutcomeLater(id: string): void;
};
