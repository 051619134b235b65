/**
 * What one isolate counts. The Worker and the objects that share its isolate share its meter.
 */
import { durationBuckets, type Family, type FamilyName, families, type LabelValues } from "./families.ts";

/** The value of one series. */
export type Sample = { family: FamilyName; labels: readonly string[]; value: number };

/** A series of a histogram: how many values fell into each bucket and the last, unbounded one, and their sum. */
export type Distribution = {
  family: FamilyName;
  labels: readonly string[];
  counts: readonly number[];
  sum: number;
};

/** How often a tag was pulled; the tag of a pull by digest is empty. */
export type PullCount = { repository: string; tag: string; pulls: number };

/** What an isolate has counted since its last report, for the catalog to add up. By its id it is added up once. */
export type Report = { id: string; counters: Sample[]; pulls: PullCount[]; uploads: UploadNews[] };

type HistogramName = {
  [N in FamilyName]: (typeof families)[N]["type"] extends "histogram" ? N : never;
}[FamilyName];

/** What is counted: other families are asked where their values are. */
type CounterName = {
  [N in FamilyName]: (typeof families)[N] extends { type: "counter"; keptBy: "isolate" | "catalog" }
    ? N
    : never;
}[FamilyName];

type MutableDistribution = { -readonly [K in keyof Distribution]: Distribution[K] } & { counts: number[] };

function keyOf(family: string, labels: readonly string[]): string {
  let key = family;
  for (const label of labels) key += `\n${label}`;
  return key;
}

/** A change of an upload: it is open, or has ended. */
export type UploadNews = { id: string; isOpen: boolean };

/**
 * Which uploads are open, as one isolate saw them begin and end. Only uploads that last are reported: one that begins
 * and ends between two reports is not.
 */
class OpenUploads {
  /** When each upload that was not reported yet was first seen; `undefined`: it has ended, which is to be reported. */
  #news = new Map<string, number | undefined>();
  /** Uploads that were reported as open. */
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

/** Counters, and what is to be reported of them. */
export class Meter {
  /** The uploads that are open. */
  readonly uploads = new OpenUploads();
  readonly #kept = new Map<string, Sample>();
  readonly #distributions = new Map<string, MutableDistribution>();
  #toReport = new Map<string, Sample>();
  #pulls = new Map<string, PullCount>();
  /** Reports that may have arrived, or not: they are given again as they were. */
  #unsettled: Report[] = [];
  #hasRare = false;
  #hasFailed = false;
  #reportedAt = 0;

  /** Adds to a counter. */
  add<N extends CounterName>(family: N, labels: LabelValues<N>, by = 1): void {
    const values: readonly string[] = labels;
    const { keptBy, isRare }: Family = families[family];
    const series = keptBy === "isolate" ? this.#kept : this.#toReport;
    if (isRare === true) this.#hasRare = true;
    const key = keyOf(family, values);
    const known = series.get(key);
    if (known === undefined) series.set(key, { family, labels: values, value: by });
    else known.value += by;
  }

  /** Notes a duration, in seconds. */
  observe<N extends HistogramName>(family: N, labels: LabelValues<N>, seconds: number): void {
    const values: readonly string[] = labels;
    const key = keyOf(family, values);
    let known = this.#distributions.get(key);
    if (known === undefined) {
      const counts = new Array<number>(durationBuckets.length + 1).fill(0);
      known = { family, labels: values, counts, sum: 0 };
      this.#distributions.set(key, known);
    }
    const bucket = durationBuckets.findIndex((bound) => seconds <= bound);
    const index = bucket === -1 ? durationBuckets.length : bucket;
    known.counts[index] = (known.counts[index] ?? 0) + 1;
    known.sum += seconds;
  }

  /** Counts a manifest that was pulled, by its tag or, with an empty one, by its digest. */
  addPull(repository: string, tag: string, by = 1): void {
    const key = `${repository}\n${tag}`;
    const known = this.#pulls.get(key);
    if (known === undefined) this.#pulls.set(key, { repository, tag, pulls: by });
    else known.pulls += by;
  }

  /** What the isolate itself keeps. */
  samples(): { samples: Sample[]; distributions: Distribution[] } {
    return { samples: [...this.#kept.values()], distributions: [...this.#distributions.values()] };
  }

  /** Whether there is something to report, and it is rare or the last report was at least `everyMs` ago. */
  isReportDue(now: number, everyMs: number): boolean {
    const hasSome = this.#unsettled.length > 0 || this.#hasNew(now - everyMs);
    // A catalog that does not answer is not asked by every request.
    const isUrgent = !this.#hasFailed && (this.#hasRare || this.uploads.hasEnds);
    return hasSome && (isUrgent || now - this.#reportedAt >= everyMs);
  }

  #hasNew(openBy: number): boolean {
    return this.#toReport.size > 0 || this.#pulls.size > 0 || this.uploads.hasNews(openBy);
  }

  /**
   * Takes what is to be reported: first what may have arrived, then what is new. Give to {@link untake} what is not
   * known to have arrived. Uploads that were not open for so long yet are left for the next report: most have ended by
   * then, and nobody needs to be told of them.
   */
  take(now: number, openForMs = 0): Report[] {
    this.#reportedAt = now;
    this.#hasFailed = false;
    const reports = this.#unsettled;
    this.#unsettled = [];
    if (!this.#hasNew(now - openForMs)) return reports;
    const report = {
      id: crypto.randomUUID(),
      counters: [...this.#toReport.values()],
      pulls: [...this.#pulls.values()],
      uploads: this.uploads.take(now - openForMs),
    };
    this.#toReport = new Map();
    this.#pulls = new Map();
    this.#hasRare = false;
    return [...reports, report];
  }

  /** Takes reports back of which the first may have arrived, and the others were not sent. */
  untake(reports: Report[]): void {
    this.#unsettled.unshift(...reports);
    this.#hasFailed = true;
  }
}

/** How often an isolate reports what is not rare, at most, in milliseconds. */
export const reportEveryMs = 30_000;

/** The isolate's meter. */
export const meter = new Meter();
