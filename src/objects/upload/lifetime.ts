/** How long an upload session lives: for a time after its last request, and not for ever. */
import type { Clock } from "../../clock.ts";
import type { Settings } from "../../settings/settings.ts";
import { day, minute } from "../../units.ts";
import type { UploadStore } from "./store.ts";

/** How long a session takes bytes, however often it is used: R2 ends a multipart upload after seven days. */
const mostOpenMs = 6.5 * day;

/**
 * How long after a request its session expires, at most. This is a little longer than it must live, so that it is not
 * written with every chunk.
 */
export function expiryMs(uploadTtlMs: number): number {
  return uploadTtlMs * (1 + 1 / 24);
}

/** When a session expires that is used now, or when it is forgotten if it has ended. */
export function expiryFromNow({ clock, settings }: { clock: Clock; settings: Settings }): number {
  return clock.now() + expiryMs(settings.uploadTtlMs);
}

/** Why a session ends that {@link isTooOld}. */
export const tooOld = "it was open for longer than R2 keeps its parts";

/** Whether a session has been open for as long as it may. */
export function isTooOld(store: UploadStore, now: number): boolean {
  return now >= opensUntil(store);
}

/** When a session that is used now is due to expire; `undefined` if it is due late enough already. */
export function renewedDue(store: UploadStore, now: number, uploadTtlMs: number): number | undefined {
  // One that cannot be ended now is looked at again soon.
  const most = Math.max(opensUntil(store), now + minute);
  const isLateEnough = store.dueAt() >= Math.min(now + uploadTtlMs, most);
  return isLateEnough ? undefined : Math.min(now + expiryMs(uploadTtlMs), most);
}

/** Until when a session takes bytes. One that has all of them has no such time, nor has one of an earlier release. */
function opensUntil(store: UploadStore): number {
  const openedAt = store.read().state === "open" ? store.opened()?.atMs : undefined;
  return openedAt === undefined ? Number.POSITIVE_INFINITY : openedAt + mostOpenMs;
}
