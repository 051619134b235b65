/** Reads whole bodies into memory, within a bound per body and one per isolate. */
import type { Clock } from "../clock.ts";
import { type Failure, failure, type Rejection, type Result } from "../oci/errors.ts";
import { parseContentLength } from "../oci/http.ts";
import type { Registry } from "../registry/registry.ts";
import { mebibyte, minute, second } from "../units.ts";
import { networkName } from "./auth/limits.ts";
import type { Context, Room } from "./context.ts";

/** The body, or why it could not be read. `too slow`: others needed its room. */
export type WholeBody = Result<{ bytes: Uint8Array }, Rejection<"too large" | "broken off" | "too slow">>;

/**
 * Reads a body of at most `maxBytes` into memory. Reading stops as soon as the body is known to be larger.
 * `length` is the `Content-Length`, if there is one.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  length: number | undefined,
  maxBytes: number,
  room?: BodyRoom,
): Promise<WholeBody> {
  if (length !== undefined && length > maxBytes) return { ok: false, reason: "too large" };
  const pieces = room?.pieces ?? [];
  let received = 0;
  try {
    for await (const piece of body ?? []) {
      received += piece.byteLength;
      if (received > maxBytes) return { ok: false, reason: "too large" };
      if (room?.isLost) return { ok: false, reason: "too slow" };
      pieces.push(piece);
    }
  } catch {
    return { ok: false, reason: "broken off" };
  }
  if (room !== undefined && !room.keep()) return { ok: false, reason: "too slow" };
  const bytes = new Uint8Array(received);
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.byteLength;
  }
  return { ok: true, bytes };
}

/** An isolate has 128 MB, and a manifest is held several times for a moment: as bytes, as text, and in the RPC call. */
const bodiesBytes = 24 * mebibyte;
/** The same of forms and of the JSON of the management API. */
const formsBytes = 16 * mebibyte;
/** How much of all room one holder has at most, so that nobody keeps everybody else waiting. */
const share = 1 / 2;
/** How long a request waits for room, and how often it checks unless told. */
const maxWaitMs = 10 * second;
const usualPollMs = 50;
/** A body that is still not whole after this time loses its room to one that needs it. */
const slowAfterMs = 5 * second;
/** After this time a room is taken from its request, which may have ended with its client and never release it. */
const lostAfterMs = minute;

/** Memory that is reserved for a body. */
export class BodyRoom implements Room {
  readonly bytes: number;
  readonly holder: string | undefined;
  readonly #clock: Clock;
  readonly #giveBack: (room: BodyRoom) => void;
  /** When others may take it. */
  expiresAtMs: number;
  isLost = false;
  /** What has come of the body. It is let go with the room. */
  readonly pieces: Uint8Array[] = [];

  constructor(clock: Clock, bytes: number, holder: string | undefined, giveBack: (room: BodyRoom) => void) {
    this.#clock = clock;
    this.bytes = bytes;
    this.holder = holder;
    this.#giveBack = giveBack;
    this.expiresAtMs = clock.now() + slowAfterMs;
  }

  noteProgress(): void {
    this.expiresAtMs = this.#clock.now() + slowAfterMs;
  }

  release(): void {
    this.#giveBack(this);
  }

  /** Keeps it for the body, which is whole; false if it is lost already. */
  keep(): boolean {
    this.expiresAtMs = this.#clock.now() + lostAfterMs;
    return !this.isLost;
  }
}

/** Other bounds than those of bodies that are received. */
type BudgetOptions = { wait?: (milliseconds: number) => Promise<unknown>; bytes?: number; pollMs?: number };

/** Limits the memory that bodies take in an isolate. */
export class BodyBudget {
  readonly #clock: Clock;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  readonly #bytes: number;
  readonly #pollMs: number;
  /** The oldest one first. */
  readonly #rooms = new Set<BodyRoom>();

  constructor(clock: Clock, { wait, bytes = bodiesBytes, pollMs = usualPollMs }: BudgetOptions = {}) {
    this.#clock = clock;
    this.#wait = wait ?? ((milliseconds) => scheduler.wait(milliseconds));
    this.#bytes = bytes;
    this.#pollMs = pollMs;
  }

  /**
   * Reserves room for a body, waiting for it if necessary; `undefined` if there is none in time. Whoever gets it has to
   * release it.
   *
   * @param holder who has no more than a share of all; without one there is no such bound
   */
  async reserve(bytes: number, holder?: string): Promise<BodyRoom | undefined> {
    const until = this.#clock.now() + maxWaitMs;
    // Each request polls: it must not await a promise of another request, which may end first.
    for (;;) {
      const room = this.#tryReserve(bytes, holder);
      if (room !== undefined || this.#clock.now() >= until) return room;
      await this.#wait(this.#pollMs);
    }
  }

  #release(room: BodyRoom): void {
    this.#rooms.delete(room);
    room.isLost = true;
    room.pieces.length = 0;
  }

  #tryReserve(bytes: number, holder: string | undefined): BodyRoom | undefined {
    const isOwn = (room: BodyRoom) => room.holder === holder;
    const mayHave =
      this.#makeRoom(this.#bytes - bytes, () => true) &&
      (holder === undefined || this.#makeRoom(this.#bytes * share - bytes, isOwn));
    if (!mayHave) return undefined;
    const room = new BodyRoom(this.#clock, bytes, holder, (each) => this.#release(each));
    this.#rooms.add(room);
    return room;
  }

  /** Takes rooms that have expired until those that count have at most so many bytes. Returns whether they have. */
  #makeRoom(mostBytes: number, counts: (room: BodyRoom) => boolean): boolean {
    const rooms = [...this.#rooms].filter(counts);
    let taken = rooms.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const room of rooms) {
      if (taken <= mostBytes) break;
      if (room.expiresAtMs > this.#clock.now()) continue;
      this.#release(room);
      taken -= room.bytes;
    }
    return taken <= mostBytes;
  }
}

type Budgets = { manifests: BodyBudget; forms: BodyBudget };

const budgets = new WeakMap<Registry, Budgets>();

/** The budgets of this isolate: of manifests, and of all that is read by {@link readForm}. */
export function bodyBudgetsOf(registry: Registry): Budgets {
  const { clock } = registry;
  const known = budgets.get(registry) ?? {
    manifests: new BodyBudget(clock),
    forms: new BodyBudget(clock, { bytes: formsBytes }),
  };
  budgets.set(registry, known);
  return known;
}

/**
 * By whom room is counted: by the account, or without one by the network. `undefined`, without a bound, in an open
 * registry, where all callers have one name.
 */
export function holderOf({ access, address }: Pick<Context, "access" | "address">): string | undefined {
  if (access.credential === "open") return undefined;
  return access.credential === "none" ? networkName(address) : access.account;
}

/** Reads a form, or the JSON of the management API, of at most `maxBytes`. Everybody may send some of them. */
export async function readForm(
  context: Pick<Context, "registry" | "request" | "access" | "address">,
  maxBytes: number,
): Promise<WholeBody> {
  const { registry, request } = context;
  const length = parseContentLength(request.headers.get("Content-Length"));
  if (length !== undefined && length > maxBytes) return { ok: false, reason: "too large" };
  if (request.body === null) return { ok: true, bytes: new Uint8Array() };
  const room = await bodyBudgetsOf(registry).forms.reserve(length ?? maxBytes, holderOf(context));
  if (room === undefined) return { ok: false, reason: "too slow" };
  try {
    return await readBody(request.body, length, maxBytes, room);
  } finally {
    room.release();
  }
}

/** The error of a form that could not be read. */
export function unreadForm(reason: Extract<WholeBody, { ok: false }>["reason"]): Failure {
  return reason === "too slow" ? failure("UNAVAILABLE") : failure("REQUEST_INVALID", `the body is ${reason}`);
}
