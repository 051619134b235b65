/**
 * Whether an upstream is worth asking: after several failures in a row, after it said that it was asked too often, and
 * about what it did not have a moment ago, it is not asked for a while.
 */
import type { Clock } from "../../clock.ts";
import type { Admission, UpstreamReport, UpstreamState } from "../../rpc/upstream-api.ts";
import { minute, second } from "../../units.ts";

/** After so many failures in a row, the upstream is not asked for a while, which doubles with each further one. */
const toleratedFailures = 3;
const firstPauseMs = 5 * second;
const longestPauseMs = minute;

/** How long it is not asked after an answer 429 that says nothing, and at most. */
const limitedMs = 30 * second;
const longestLimitedMs = 60 * minute;

/** How long, and for how many references, it is remembered that the upstream does not have something. */
const absentMs = minute;
const maxAbsent = 10_000;

/** What is known of the state of an upstream. */
export class UpstreamHealth {
  readonly #clock: Clock;
  #failures = 0;
  #downUntilMs = 0;
  #limitedUntilMs = 0;
  #lastAnswerAtMs = 0;
  #lastFailure: UpstreamState["lastFailure"];
  #rateLimit: UpstreamState["rateLimit"];
  /** References that were absent, in the order in which they are forgotten, with that time. */
  readonly #absent = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why the upstream is not to be asked for a reference now; `undefined` if it is. */
  refusal(reference: string): Extract<Admission, { reason: string }> | undefined {
    const now = this.#clock.now();
    if (this.#limitedUntilMs > now)
      return { ok: false, reason: "limited", retryAfterMs: this.#limitedUntilMs - now };
    const absentUntil = this.#absent.get(reference) ?? 0;
    if (absentUntil > now) return { ok: false, reason: "absent", retryAfterMs: absentUntil - now };
    if (this.#downUntilMs > now) return { ok: false, reason: "down", retryAfterMs: this.#downUntilMs - now };
    // After a pause, one question finds out whether it answers again; the others wait for what comes of it.
    if (this.#failures >= toleratedFailures) this.#downUntilMs = now + firstPauseMs;
    return undefined;
  }

  /** Notes what came of a question. */
  note({ outcome, reference, retryAfterMs, rateLimit, detail = outcome }: UpstreamReport): void {
    const now = this.#clock.now();
    if (rateLimit !== undefined) this.#rateLimit = rateLimit;
    if (outcome === "absent" && reference !== undefined) this.#noteAbsent(reference, now + absentMs);
    if (outcome === "limited")
      this.#limitedUntilMs = now + Math.min(retryAfterMs ?? limitedMs, longestLimitedMs);
    if (outcome !== "answered" && outcome !== "absent") this.#lastFailure = { atMs: now, detail };
    if (outcome === "down") {
      this.#failures++;
      const times = this.#failures - toleratedFailures;
      if (times >= 0) this.#downUntilMs = now + Math.min(longestPauseMs, firstPauseMs * 2 ** times);
      return;
    }
    this.#failures = 0;
    this.#downUntilMs = 0;
    this.#lastAnswerAtMs = now;
  }

  #noteAbsent(reference: string, until: number): void {
    this.#absent.delete(reference);
    this.#absent.set(reference, until);
    for (const [oldest, forgottenAt] of this.#absent) {
      if (this.#absent.size <= maxAbsent && forgottenAt > this.#clock.now()) break;
      this.#absent.delete(oldest);
    }
  }

  /** The state, without the fetches. */
  state(): Omit<UpstreamState, "fetches"> {
    return {
      failures: this.#failures,
      downUntilMs: this.#downUntilMs,
      limitedUntilMs: this.#limitedUntilMs,
      lastFailure: this.#lastFailure,
      lastAnswerAtMs: this.#lastAnswerAtMs,
      absent: this.#absent.size,
      rateLimit: this.#rateLimit,
    };
  }
}
