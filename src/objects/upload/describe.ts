/** What administrators are told of an upload session that is under way. */
import type { OpenSession } from "../upload-channel.ts";
import { sessionJob } from "./jobs.ts";
import type { SessionHost } from "./session-host.ts";
import type { UploadStore } from "./store.ts";

/** Describes a session; `undefined` where it takes no bytes. `isWriting`: a client is sending some now. */
export function describeSession(
  { clock, settings, due }: SessionHost,
  store: UploadStore,
  id: string,
  isWriting: boolean,
): OpenSession | undefined {
  if (!store.exists()) return undefined;
  const { state, offset } = store.read();
  if (state !== "open") return undefined;
  const expiresAt = due.at(sessionJob, id);
  const lastActiveAtMs =
    isWriting || expiresAt === undefined ? clock.now() : expiresAt - settings.uploadTtlMs;
  return { ...store.session(), offset, opened: store.opened(), lastActiveAtMs, isWriting };
}
