/** How far each of several layers is: a line each in a terminal, which moves; elsewhere a line when one has ended. */
import type { Writable } from "node:stream";
import { printable } from "./output.ts";
import { formatBytes } from "./progress.ts";

const intervalMs = 200;

type Stream = Writable & { isTTY?: boolean; columns?: number };

/** One layer. Reports after its end are not shown. */
export type LayerProgress = {
  /** More bytes have arrived: this many. */
  add(bytes: number): void;
  /** The layer is done; prints that. */
  done(what: string): void;
  /** It is not done, and will not be. */
  failed(why: string): void;
  /** Removes the layer, and prints nothing. */
  forget(): void;
};

/** The layers that are under way. */
export class Layers {
  readonly #stream: Stream;
  readonly #moves: boolean;
  readonly #active = new Map<number, { name: string; bytes: number; size: number | undefined }>();
  #next = 0;
  #shownLines = 0;
  #shownAt = 0;

  /** @param isPlain no line moves, even in a terminal: somebody else writes there as well */
  constructor(stream: Stream, isPlain = false) {
    this.#stream = stream;
    this.#moves = stream.isTTY === true && !isPlain;
  }

  /** Begins a layer. `size`: how many bytes it will have, where that is known. */
  begin(name: string, size?: number): LayerProgress {
    const id = this.#next++;
    const layer = { name, bytes: 0, size };
    const startedAt = performance.now();
    this.#active.set(id, layer);
    const end = (text?: (seconds: number) => string) => {
      if (!this.#active.delete(id)) return;
      this.#say(text?.((performance.now() - startedAt) / 1000));
    };
    return {
      add: (bytes) => {
        layer.bytes += bytes;
        this.#draw(false);
      },
      done: (what) => end((seconds) => `${what} (${formatBytes(layer.bytes)} in ${seconds.toFixed(1)} s)`),
      failed: (why) => end(() => `${name}: ${why} after ${formatBytes(layer.bytes)}`),
      forget: () => end(),
    };
  }

  #say(line: string | undefined): void {
    this.#erase();
    // What a registry said may be in it.
    if (line !== undefined) this.#stream.write(`${printable(line)}\n`);
    this.#draw(true);
  }

  #draw(isDue: boolean): void {
    const now = performance.now();
    if (!this.#moves || (!isDue && now < this.#shownAt + intervalMs)) return;
    this.#shownAt = now;
    this.#erase();
    const width = (this.#stream.columns ?? 80) - 1;
    const lines = Array.from(this.#active.values(), ({ name, bytes, size }) => {
      const of = size === undefined ? "" : ` of ${formatBytes(size)}`;
      return `${name}  ${formatBytes(bytes)}${of}`.slice(0, width);
    });
    this.#stream.write(lines.map((line) => `${line}\n`).join(""));
    this.#shownLines = lines.length;
  }

  #erase(): void {
    // Move up that many lines, and clear everything below.
    if (this.#shownLines > 0) this.#stream.write(`\u001b[${this.#shownLines}A\u001b[J`);
    this.#shownLines = 0;
  }
}
