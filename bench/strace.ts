/** What makes data last, as strace sees it: which file is synced, and when. Linux only. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";

/** Whether strace can run here. */
export function hasStrace(): boolean {
  return process.platform === "linux" && spawnSync("strace", ["-V"]).status === 0;
}

/**
 * The command that runs a program under strace. It stays the process that was started; all its children are watched.
 *
 * @param file where strace writes; what {@link SyncLog} reads
 * @param delayMs how much longer each sync is to take
 */
export function straceCommand(file: string, delayMs = 0): string[] {
  const calls = "fsync,fdatasync";
  const slow = delayMs === 0 ? [] : ["-e", `inject=${calls}:delay_exit=${delayMs * 1000}`];
  return ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-e", `trace=${calls}`, ...slow, "-o", file];
}

/** The log of a program under strace, read as it grows. */
export class SyncLog {
  readonly #file: string;
  #offset = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The paths of what was synced since the last call, in order. */
  take(): string[] {
    const descriptor = openSync(this.#file, "r");
    const buffer = Buffer.alloc(4 * 1024 * 1024);
    const length = readSync(descriptor, buffer, 0, buffer.length, this.#offset);
    closeSync(descriptor);
    const text = buffer.toString("utf8", 0, length);
    const complete = text.slice(0, text.lastIndexOf("\n") + 1);
    this.#offset += Buffer.byteLength(complete);
    // `fsync(12</path>) = 0`, or, where another thread's call came in between, `fsync(12</path> <unfinished ...>`.
    return [...complete.matchAll(/f(?:data)?sync\(\d+<([^>]*)>/g)].map(([, path = ""]) => path);
  }
}
