/**
 * Which uploads are open, as one isolate saw them begin and end. What begins and ends between two reports is nobody's
 * business: only uploads that last are told of.
 */

/** News of an upload: it is open, or is no more. */
export type UploadNews = { id: string; isOpen: boolean };

/** What is to be reported of uploads. */
export class OpenUploads {
  /** When each was first heard of that nobody was told of; `undefined`: it has ended, of which somebody is to be told. */
  #news = new Map<string, number | undefined>();
  /** Uploads of which a report said that they are open. */
  readonly #told = new Set<string>();

  /** Notes that an upload received bytes. */
  opened(id: string, now: number): void {
    if (this.#news.get(id) === undefined) this.#news.set(id, now);
  }

  /** Notes that an upload ended. Where its beginning was not reported, neither is its end. */
  ended(id: string): void {
    const isNew = this.#news.get(id) !== undefined && !this.#told.has(id);
    if (isNew) this.#news.delete(id);
    else this.#news.set(id, undefined);
  }

  /** Whether there is something to report: ends, and uploads that were open by a time. */
  hasNews(openBy: number): boolean {
    return this.#news.values().some((since) => since === undefined || since <= openBy);
  }

  /** Whether an end is to be reported: nobody may come by this isolate again to report it later. */
  get hasEnds(): boolean {
    return this.#news.values().some((since) => since === undefined);
  }

  /** Takes what is to be reported: ends, and uploads that were open by a time. */
  take(openBy: number): UploadNews[] {
    const news: UploadNews[] = [];
    for (const [id, since] of this.#news) {
      if (since !== undefined && since > openBy) continue;
      const isOpen = since !== undefined;
      news.push({ id, isOpen });
      this.#news.delete(id);
      if (isOpen) this.#told.add(id);
      else this.#told.delete(id);
    }
    return news;
  }
}
