/**
 * A file that takes room in the data directory, and is given up where another program has filled the volume, with the
 * reserve that pushes leave (storage/disk-space.ts). For without any room no database can be opened or written: nothing
 * could be pulled any more, and nothing deleted to make room.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { usualReserve } from "../storage/disk-space.ts";
import { mebibyte } from "../units.ts";
import { hasNoRoom } from "./free-space.ts";

const mostBytes = 16 * mebibyte;
const lookEveryMs = 500;

/** The file. It is half the reserve, 16 MiB at most, and there for as long as there is room for both. */
export class Ballast {
  readonly #dataDirectory: string;
  readonly #path: string;
  readonly #reserveBytes: number | undefined;

  /** `reserveBytes`: the reserve; `undefined` for the usual one. Where there is none, there is no such file either. */
  constructor(dataDirectory: string, reserveBytes: number | undefined) {
    this.#dataDirectory = dataDirectory;
    this.#path = join(dataDirectory, "ballast");
    this.#reserveBytes = reserveBytes;
  }

  /** Gives the file up, or makes it, if it is time for that; returns how many bytes were given up, if any were. */
  look(): number {
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

  /** Looks now, which may throw, and twice a second from then on. `onGivenUp` gets how many bytes were given up. */
  keep(onGivenUp: (bytes: number) => void): void {
    const look = () => {
      const bytes = this.look();
      if (bytes > 0) onGivenUp(bytes);
    };
    look();
    // A volume that cannot be looked at now, or that nobody may write to, is no reason to end.
    setInterval(() => {
      try {
        look();
      } catch {}
    }, lookEveryMs).unref();
  }

  /** Bytes that no file system makes smaller. */
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
