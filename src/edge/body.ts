/** Reads whole bodies into memory, within a bound per body and one per isolate. */
import type { Clock } from "../clock.ts";
import type { Rejection, Result } from "../oci/errors.ts";
import type { Registry } from "../registry/registry.ts";

/** The body, or why it could not be read. */
export type WholeBody = Result<{ bytes: Uint8Array }, Rejection<"too large" | "broken off">>;

/**
 * Reads a body of at most `maxBytes` into memory. Reading stops as soon as the body is known to be larger.
 * `length` is the `Content-Length`, if there is one.
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

/** An isolate has 128 MB, and a manifest is held several times for a moment: as bytes, as text, and in the RPC call. */
const budgetBytes = 24 * 1024 * 1024;
/** How long a request waits for room, and how often it checks. */
const maxWaitMs = 10_000;
const pollMs = 50;
/** After this time a reservation expires: its client may have gone, and the request may never release it. */
const lostAfterMs = 60_000;

type Reservation = { bytes: number; lostAt: number };

/** Limits the memory that bodies take in an isolate. */
export class BodyBudget {
  readonly #clock: Clock;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #reservations = new Set<Reservation>();
  #bytes = 0;

  constructor(clock: Clock, wait = (ms: number) => scheduler.wait(ms)) {
    this.#clock = clock;
    this.#wait = wait;
  }

  /**
   * Reserves room for a body, waiting for it if necessary. Returns its release; `undefined` if there is no room in
   * time.
   */
  async reserve(bytes: number): Promise<(() => void) | undefined> {
    const until = this.#clock.now() + maxWaitMs;
    // Each request polls: it must not await a promise of another request, which may end first.
    for (;;) {
      const release = this.#tryReserve(bytes);
      if (release !== undefined || this.#clock.now() >= until) return release;
      await this.#wait(pollMs);
    }
  }

  #tryReserve(bytes: number): (() => void) | undefined {
    const now = this.#clock.now();
    if (this.#bytes + bytes > budgetBytes) {
      for (const each of this.#reservations) if (each.lostAt <= now) this.#release(each);
    }
    if (this.#bytes + bytes > budgetBytes) return undefined;
    const reservation = { bytes, lostAt: now + lostAfterMs };
    this.#reservations.add(reservation);
    this.#bytes += bytes;
    return () => this.#release(reservation);
  }

  #release(reservation: Reservation): void {
    if (this.#reservations.delete(reservation)) this.#bytes -= reservation.bytes;
  }
}

const budgets = new WeakMap<Registry, BodyBudget>();

/** The budget of this isolate. */
export function bodyBudgetOf(registry: Registry): BodyBudget {
  const known = budgets.get(registry) ?? new BodyBudget(registry.clock);
  budgets.set(registry, known);
  return known;
}
