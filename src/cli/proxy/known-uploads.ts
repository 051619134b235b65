/** Remembers the uploads that pass through the proxy, by their addresses at the registry. */
import type { Hash } from "node:crypto";
import type { LayerProgress } from "../layers.ts";

/** An upload. `hash`: of all of its bytes so far, unless some of them were sent past the proxy or got lost. */
export type KnownUpload = {
  offset: number;
  hash: Hash | undefined;
  /** Whether some of its bytes came here in one body and went on in several. */
  isCut: boolean;
  layer: LayerProgress | undefined;
};

/** Uploads that were begun and never ended are forgotten at some time. */
const maxKnown = 1000;

/** A memory that may forget: the registry is asked about an upload that is not in it. */
export class KnownUploads {
  readonly #uploads = new Map<string, KnownUpload>();

  /** Takes an upload out while a request works on it. */
  take(location: URL): KnownUpload | undefined {
    const known = this.#uploads.get(location.pathname);
    this.#uploads.delete(location.pathname);
    return known;
  }

  /** Remembers how far an upload is. */
  keep(location: URL, upload: KnownUpload): void {
    this.#uploads.set(location.pathname, upload);
    const [oldest] = this.#uploads.keys();
    if (this.#uploads.size > maxKnown && oldest !== undefined) this.#uploads.delete(oldest);
  }
}
