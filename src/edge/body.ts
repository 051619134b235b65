/** Reads whole bodies into memory, within a bound per body and one per isolate. */
import { type Failure, failure, type Rejection, type Result } from "../oci/errors.ts";
import { parseContentLength } from "../oci/http.ts";
import type { Registry } from "../registry/registry.ts";
import { mebibyte } from "../units.ts";
import { networkName } from "./auth/limits.ts";
import type { Context } from "./context.ts";
import { MemoryBudget, type ReservedRoom } from "./memory-budget.ts";

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
  room?: ReservedRoom,
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
const manifestsBytes = 24 * mebibyte;
/** The same of forms and of the JSON of the management API. */
const formsBytes = 16 * mebibyte;

type Budgets = { manifests: MemoryBudget; forms: MemoryBudget };

const budgets = new WeakMap<Registry, Budgets>();

/** The budgets of this isolate: of manifests, and of all that is read by {@link readForm}. */
export function bodyBudgetsOf(registry: Registry): Budgets {
  const { clock } = registry;
  const known = budgets.get(registry) ?? {
    manifests: new MemoryBudget(clock, { bytes: manifestsBytes }),
    forms: new MemoryBudget(clock, { bytes: formsBytes }),
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
