/** A line in the terminal that shows progress. Without a terminal there is no line. */
import type { Writable } from "node:stream";

const barLength = 20;
const intervalMs = 100;

/** How far one thing is: steps of all steps, and bytes so far. */
export class Progress {
  readonly #stream: Writable & { isTTY?: boolean; columns?: number };
  #drawnAt = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Shows a state, unless another one was shown just now. */
  show(label: string, done: number, all: number, bytes: number): void {
    const now = performance.now();
    if (this.#stream.isTTY !== true || now < this.#drawnAt + intervalMs) return;
    this.#drawnAt = now;
    const filled = all === 0 ? barLength : Math.floor((done / all) * barLength);
    const bar = `[${"#".repeat(filled)}${"-".repeat(barLength - filled)}]`;
    const line = `${bar} ${done}/${all}  ${formatBytes(bytes)}  ${label}`;
    this.#stream.write(`\r\u001b[K${line.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }

  /** Removes the line. */
  end(): void {
    if (this.#stream.isTTY === true && this.#drawnAt > 0) this.#stream.write("\r\u001b[K");
    this.#drawnAt = 0;
  }
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes for people. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
