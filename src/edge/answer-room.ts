/**
 * Memory for answers that may be large: lists. While one is made it is there several times, as rows, as text and as
 * bytes, and then for as long as its client reads. A thousand at once would be more than an isolate has.
 */
import { failure } from "../oci/errors.ts";
import { ExpiringLru } from "../registry/caches.ts";
import type { Registry } from "../registry/registry.ts";
import { mebibyte, minute } from "../units.ts";
import { holderOf } from "./body.ts";
import type { Answer, Context } from "./context.ts";
import { InFlight } from "./in-flight.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { largeBytes } from "./piece-sender.ts";
import { isRefusal } from "./respond.ts";

/** What all of them have together, and each as long as it is not known to be small. */
const budgetBytes = 64 * mebibyte;
const answerBytes = 4 * mebibyte;
/** They take milliseconds. */
const pollMs = 5;
/** How long a caller who asks again for what was small needs no room while it is made; so many at once do not. */
const smallMs = minute;
const mostSmall = 16;
/** A longer question is not remembered, in characters. */
const maxKeyLength = 400;

type AnswerRooms = { budget: MemoryBudget; small: ExpiringLru<true>; likelySmall: InFlight };

const known = new WeakMap<Registry, AnswerRooms>();

function roomsOf(registry: Registry): AnswerRooms {
  const { clock } = registry;
  const rooms = known.get(registry) ?? {
    budget: new MemoryBudget(clock, { bytes: budgetBytes, pollMs }),
    small: new ExpiringLru<true>(clock, mebibyte, () => 2 * maxKeyLength + 200),
    likelySmall: new InFlight(clock, mostSmall),
  };
  known.set(registry, rooms);
  return rooms;
}

/** Has an answer made once there is memory for it. Error: `UNAVAILABLE`, if there is none in time. */
export async function answerInRoom(context: Context, makeAnswer: () => Promise<Answer>): Promise<Answer> {
  const { registry, url, access } = context;
  const { budget, small, likelySmall } = roomsOf(registry);
  const key = `${access.account} ${url.pathname}${url.search}`;
  const end = small.has(key) ? likelySmall.begin("") : undefined;
  const reserve = () => budget.reserve(answerBytes, holderOf(context));
  let room = end === undefined ? await reserve() : undefined;
  try {
    if (end === undefined && room === undefined) return failure("UNAVAILABLE");
    const answer = await makeAnswer();
    if (isRefusal(answer) || sizeOf(answer.body) <= largeBytes) {
      if (key.length <= maxKeyLength) small.set(key, true, smallMs);
      return answer;
    }
    small.delete(key);
    const handedOver = room ?? (await reserve());
    room = undefined;
    return handedOver === undefined ? failure("UNAVAILABLE") : { ...answer, room: handedOver };
  } finally {
    room?.release();
    end?.();
  }
}

/** About how large a body is; that of a stream is not known, and takes no memory. */
function sizeOf(body: ReadableStream | Uint8Array | string | undefined): number {
  if (typeof body === "string") return body.length;
  return body instanceof Uint8Array ? body.byteLength : 0;
}
