/** Reading a body whole, within a bound. */
import type { Clock } from "../clock.ts";
import type { Rejection, Result } from "../oci/errors.ts";
import type { Registry } from "../registry/registry.ts";

/** The body, or why it could not be had. */
export type WholeBody = Result<{ bytes: Uint8Array }, Rejection<"too large" | "broken off">>;

/**
 * Reads at most `maxBytes` into memory; of a body announced or found to be larger, no more than that is read.
 * `length` is what `Content-Length` says, if anything.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  length: number | undefined,
  maxBytes: number,
): Promise<WholeBody> {
  if (length !== undefined && length > maxBytes) return { ok: false, reason: "too large" };
  const pieces: Uint8Array[] = [];
  let received = 0;
  try {
    for await (const piece of body ?? []) {
      received += piece.byteLength;
      if (received > maxBytes) return { ok: false, reason: "too large" };
      pieces.push(piece);
    }
  } catch {
    return { ok: false, reason: "broken off" };
  }
  const bytes = new Uint8Array(received);
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.byteLength;
  }
  return { ok: true, bytes };
}

/** An isolate has 128 MB, and of a manifest there are copies for a moment: its text, and what is sent to the ledger. */
const budgetBytes = 24 * 1024 * 1024;
/** How long a request waits for room, and how often it looks. */
const patienceMs = 10_000;
const lookMs = 50;
/** How long room is kept for a request of which nothing is heard: its client may have gone, with all it awaited. */
const lostAfterMs = 60_000;

type Taken = { bytes: number; lostAt: number };

/** Room for bodies. */
export class BodyBudget {
  readonly #clock: Clock;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #taken = new Set<Taken>();
  #bytes = 0;

  constructor(clock: Clock, wait = (ms: number) => scheduler.wait(ms)) {
    this.#clock = clock;
    this.#wait = wait;
  }

  /** Takes room for a body, at once or after a while. Returns how to give it back; `undefined` where there is none. */
  async enter(bytes: number): Promise<(() => void) | undefined> {
    const until = this.#clock.now() + patienceMs;
    // Each request looks for itself: what it awaits must not be another's, which may end first.
    for (;;) {
      const leave = this.#take(bytes);
      if (leave !== undefined || this.#clock.now() >= until) return leave;
      await this.#wait(lookMs);
    }
  }

  #take(bytes: number): (() => void) | undefined {
    const now = this.#clock.now();
    if (this.#bytes + bytes > budgetBytes) {
      for (const each of this.#taken) if (each.lostAt <= now) this.#leave(each);
    }
    if (this.#bytes + bytes > budgetBytes) return undefined;
    const taken = { bytes, lostAt: now + lostAfterMs };
    this.#taken.add(taken);
    this.#bytes += bytes;
    return () => this.#leave(taken);
  }

  #leave(taken: Taken): void {
    if (this.#taken.delete(taken)) this.#bytes -= taken.bytes;
  }
}

const budgets = new WeakMap<Registry, BodyBudget>();

/** The budget of this isolate. */
export function bodyBudgetOf(registry: Registry): BodyBudget {
  const known = budgets.get(registry) ?? new BodyBudget(registry.clock);
  budgets.set(registry, known);
  return known;
}
