/** What administrators are told of an upload session that is under way. */
import type { OpenSession } from "../upload-channel.ts";
import { expiryMs } from "./jobs.ts";
import type { SessionHost } from "./session-host.ts";
import type { UploadStore } from "./store.ts";

/**
 * Describes a session; `undefined` where it takes no bytes. `isWriting`: a client is sending some now; `activeAtMs`: when
 * its last request ended, if that is remembered; else it may have been up to a twenty-fourth of `UPLOAD_TTL` after what is told.
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
