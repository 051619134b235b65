/**
 * A file that reserves room in the data directory. It is deleted when another program has filled the volume, including the
 * reserve that pushes leave (storage/disk-space.ts): without any room no database can be opened or written, so that
 * nothing could be pulled, nor deleted to make room.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { usualReserve } from "../storage/disk-space.ts";
import { mebibyte } from "../units.ts";
import { hasNoRoom } from "./files.ts";

const mostBytes = 16 * mebibyte;
const updateEveryMs = 500;

/** The file. It has half the size of the reserve, 16 MiB at most, and exists while there is room for both. */
export class ReserveFile {
  readonly #dataDirectory: string;
  readonly #path: string;
  readonly #reserveBytes: number | undefined;

  /** `reserveBytes`: the reserve; `undefined` for the usual one. Without a reserve there is no file. */
  constructor(dataDirectory: string, reserveBytes: number | undefined) {
    this.#dataDirectory = dataDirectory;
    this.#path = join(dataDirectory, "reserve");
    this.#reserveBytes = reserveBytes;
  }

  /** Deletes or writes the file, if necessary. Returns the number of freed bytes, or 0. */
  update(): number {
    const { bavail, bsize, blocks } = statfsSync(this.#dataDirectory);
    const freeBytes = bavail * bsize;
    const reserveBytes = this.#reserveBytes ?? usualReserve(blocks * bsize);
    const wantedBytes = Math.min(mostBytes, Math.floor(reserveBytes / 2));
    const hasBytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (hasBytes > 0 && freeBytes < wantedBytes / 4) {
      rmSync(this.#path, { force: true });
      return hasBytes;
    }
    if (hasBytes !== wantedBytes && freeBytes >= reserveBytes + wantedBytes) this.#write(wantedBytes);
    return 0;
  }

  /** Updates the file now, which may throw, and then twice a second. `onFreed` receives the number of freed bytes. */
  keep(onFreed: (bytes: number) => void): void {
    const update = () => {
      const bytes = this.update();
      if (bytes > 0) onFreed(bytes);
    };
    update();
    // The server continues if the volume cannot be measured or written to.
    setInterval(() => {
      try {
        update();
      } catch {}
    }, updateEveryMs).unref();
  }

  /** Random bytes, which no file system compresses. */
  #write(sizeBytes: number): void {
    const file = openSync(this.#path, "w", 0o600);
    try {
      for (let left = sizeBytes; left > 0; left -= mebibyte)
        writeSync(file, randomBytes(Math.min(left, mebibyte)));
    } catch (error) {
      if (!hasNoRoom(error)) throw error;
      rmSync(this.#path, { force: true });
    } finally {
      closeSync(file);
    }
  }
}
