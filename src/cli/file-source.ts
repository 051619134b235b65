/** A file, or a part of one, as a blob that is pushed. */
import { open } from "node:fs/promises";
import type { BlobSource } from "../client/push-blob.ts";

/**
 * Opens a file.
 *
 * @param part which bytes of it; all of them unless given
 */
export async function fileSource(path: string, part?: { offset: number; size: number }): Promise<BlobSource> {
  const file = await open(path);
  const { offset: start, size } = part ?? { offset: 0, size: (await file.stat()).size };
  return {
    size,
    read: async (buffer, offset) => {
      let length = 0;
      while (length < buffer.byteLength) {
        const { bytesRead } = await file.read(
          buffer,
          length,
          buffer.byteLength - length,
          start + offset + length,
        );
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return length;
    },
    close: () => file.close(),
  };
}
