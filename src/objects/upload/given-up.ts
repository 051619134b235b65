/** Uploads that were given up, and what is left of them in the bucket. */
import type { Bucket } from "../../storage/bucket.ts";
import type { UploadRow } from "./store.ts";

/** Whether it ended before its bytes were verified, so that they are its own to delete. */
export function wasGivenUp({ state, digest }: UploadRow): boolean {
  return state === "cancelled" && digest === null;
}

/** Deletes what a session that was given up has stored. What was verified is its digest's shard's to delete. */
export async function deleteGivenUp(row: UploadRow, bucket: Bucket): Promise<void> {
  if (!wasGivenUp(row)) return;
  const { key, uploadId } = row;
  if (uploadId !== null) await bucket.abortMultipart({ key, uploadId });
  await bucket.delete([key]);
}
