/** How a session ended, by what is kept of it. */
import type { UploadRow } from "./store.ts";

/** Whether it ended before its bytes were verified, so that they are its own to delete. */
export function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

/** Whether it has ended, one way or the other. */
export function isOver({ state }: UploadRow): boolean {
  return state === "finished" || state === "cancelled";
}
