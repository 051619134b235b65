/** What upload sessions share, and what administrators are told of one. */
import type { Clock } from "../../clock.ts";
import type { ObjectBindings } from "../../rpc/stubs.ts";
import type { OpenSession } from "../../rpc/upload-channel.ts";
import type { Settings } from "../../settings/settings.ts";
import type { Bucket } from "../../storage/bucket.ts";
import type { DiskSpace } from "../../storage/disk-space.ts";
import type { DueTable } from "../due.ts";
import type { Tx } from "../sql.ts";
import { expiryMs } from "./lifetime.ts";
import type { UploadTables } from "./schema.ts";
import type { UploadStore } from "./store.ts";

/** What sessions share: the object that keeps them. */
export type SessionHost = {
  objects: ObjectBindings;
  clock: Clock;
  settings: Settings;
  bucket: Bucket;
  /** The room on the disk, if that is watched. */
  space: DiskSpace | undefined;
  storage: DurableObjectStorage;
  /** Runs one transaction. */
  change(work: (tx: Tx) => void): void;
  due: DueTable;
  tables: UploadTables;
  /** Keeps the object awake for work whose request has gone, and reports what came of it. */
  hold(work: Promise<unknown>): void;
  /** Has `Session.keepOutcome` called once the answer is on its way. */
  keepOutcomeLater(id: string): void;
};

/**
 * Describes a session; `undefined` if it does not take bytes. `isWriting`: a client is sending some now. `activeAtMs`:
 * when its last request ended, if that is remembered; otherwise the time that is told may be too early by up to a
 * twenty-fourth of `UPLOAD_TTL`.
 */
export function describeSession(
  { clock, settings }: SessionHost,
  store: UploadStore,
  isWriting: boolean,
  activeAtMs: number | undefined,
): OpenSession | undefined {
  if (!store.exists()) return undefined;
  const { state, offset } = store.read();
  if (state !== "open") return undefined;
  const lastActiveAtMs = isWriting
    ? clock.now()
    : (activeAtMs ?? store.dueAt() - expiryMs(settings.uploadTtlMs));
  return { ...store.session(), offset, opened: store.opened(), lastActiveAtMs, isWriting };
}
