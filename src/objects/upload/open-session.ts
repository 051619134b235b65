/** What administrators see of a session that takes bytes. */
import type { OpenSession } from "../upload-channel.ts";
import { sessionJob } from "./jobs.ts";
import type { SessionHost } from "./session-host.ts";
import type { UploadStore } from "./store.ts";

/** Describes a session; `undefined` where it takes no bytes. `isWriting`: whether a request sends some now. */
export function describeOpen(
  { clock, settings, due }: SessionHost,
  store: UploadStore,
  id: string,
  isWriting: boolean,
): OpenSession | undefined {
  if (!store.exists()) return undefined;
  const { state, offset } = store.read();
  if (state !== "open") return undefined;
  // It is renewed at the end of each request.
  const expiresAt = isWriting ? undefined : due.at(sessionJob, id);
  const lastActiveAtMs = expiresAt === undefined ? clock.now() : expiresAt - settings.uploadTtlMs;
  return { ...store.session(), offset, opened: store.opened(), lastActiveAtMs, isWriting };
}
