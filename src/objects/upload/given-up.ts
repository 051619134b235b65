/** Uploads that were given up, and what is left of them in the bucket. */
import type { Bucket } from "../../storage/bucket.ts";
import { isOver, type UploadRow } from "./store.ts";

/** Whether it ended before its bytes were verified, so that they are its own to delete. */
function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

/** Deletes what a session that was given up has stored. What was verified is its digest's shard's to delete. */
export async function deleteGivenUp(row: UploadRow, bucket: Bucket): Promise<void> {
  if (!wasGivenUp(row)) return;
  const { key, uploadId } = row;
  if (uploadId !== null) await bucket.abortMultipart({ key, uploadId });
  await bucket.delete([key]);
}

/** Whether bytes under this key are a session's to delete: it takes them still, or was given up. */
export function ownsKey(row: UploadRow, key: string): boolean {
  return row.key === key && (!isOver(row) || wasGivenUp(row));
}
