/**
 * Which uploads are open, as one isolate saw them begin and end. What begins and ends between two reports is nobody's
 * business: only uploads that last are told of.
 */

/** News of an upload: it is open, or is no more. */
export type UploadNews = { id: string; isOpen: boolean };

/** What is to be reported of uploads. */
export class OpenUploads {
  #news = new Map<string, boolean>();
  /** Uploads of which a report said that they are open. */
  readonly #told = new Set<string>();

  /** Notes that an upload received bytes. */
  opened(id: string): void {
    this.#news.set(id, true);
  }

  /** Notes that an upload ended. Where its beginning was not reported, neither is its end. */
  ended(id: string): void {
    const isNew = this.#news.get(id) === true && !this.#told.has(id);
    if (isNew) this.#news.delete(id);
    else this.#news.set(id, false);
  }

  /** Whether there is something to report. */
  get hasNews(): boolean {
    return this.#news.size > 0;
  }

  /** Whether an end is to be reported: nobody may come by this isolate again to report it later. */
  get hasEnds(): boolean {
    return this.#news.values().some((isOpen) => !isOpen);
  }

  /** Takes what is to be reported. */
  take(): UploadNews[] {
    const news = [...this.#news].map(([id, isOpen]) => ({ id, isOpen }));
    for (const { id, isOpen } of news) {
      if (isOpen) this.#told.add(id);
      else this.#told.delete(id);
    }
    this.#news = new Map();
    return news;
  }
}
