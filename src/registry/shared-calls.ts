/**
 * Calls to ledgers that concurrent requests share: many clients that pull one tag, or list one repository, at the same
 * time cause one call.
 *
 * Under one key, an isolate has at most one call in flight and one batch waiting. A request never joins the call in
 * flight, which may have read the ledger before the request began; it joins the waiting batch. So each answer was read
 * after its request arrived, and is linearizable.
 */
import { HasLaterData, Unreachable } from "../rpc/stubs.ts";
import { withTimeout } from "../timeout.ts";

/** Keeps a promise going after the answer was sent. */
export type WaitUntil = (promise: Promise<unknown>) => void;

/** Why a shared call has no answer. */
type Failed = "unreachable" | "later data";

type Batch<Item, Answer> = { items: Set<Item>; answers: Promise<Map<Item, Answer> | Failed> };
/** The calls under one key. */
type Calls<Item, Answer> = {
  inFlight: Promise<unknown> | undefined;
  waiting: Batch<Item, Answer> | undefined;
};

/** Asks a ledger for several items; resolves with an answer for each, in their order. */
type Call<Item, Answer> = (items: Item[]) => Promise<Answer[]>;

/**
 * How long a request waits for another request's call before it makes its own, in milliseconds. The I/O of a request
 * ends with it, so the other call may never return.
 */
const timeoutMs = 2_000;

/** The calls of one kind in one isolate. No answer may be `undefined`. */
export class SharedCalls<Item, Answer> {
  readonly #calls = new Map<string, Calls<Item, Answer>>();

  /**
   * Asks for an item. Requests with the same key share calls, and must all pass an equivalent `call`.
   *
   * @throws Unreachable if the ledger is unreachable.
   */
  async ask(key: string, item: Item, call: Call<Item, Answer>, waitUntil: WaitUntil): Promise<Answer> {
    const calls = this.#calls.get(key) ?? { inFlight: undefined, waiting: undefined };
    this.#calls.set(key, calls);
    const batch = this.#join(key, calls, item, call, waitUntil);
    const answers = await withTimeout(batch.answers, timeoutMs, undefined);
    // The request that opened it may have ended before it was sent: whoever else joined would wait in vain.
    if (answers === undefined && calls.waiting === batch) calls.waiting = undefined;
    if (answers === "later data") throw new HasLaterData("a call that requests shared");
    if (answers === "unreachable") throw new Unreachable("a call that requests shared");
    const answer = answers?.get(item);
    if (answer !== undefined) return answer;
    const [own] = await call([item]);
    if (own === undefined) throw new TypeError("the ledger answered less than it was asked");
    return own;
  }

  /** The batch that this item joins. The request that opens a batch also sends it. */
  #join(
    key: string,
    calls: Calls<Item, Answer>,
    item: Item,
    call: Call<Item, Answer>,
    waitUntil: WaitUntil,
  ): Batch<Item, Answer> {
    if (calls.waiting !== undefined) {
      calls.waiting.items.add(item);
      return calls.waiting;
    }
    const { promise, resolve } = Promise.withResolvers<Map<Item, Answer> | Failed>();
    const batch: Batch<Item, Answer> = { items: new Set([item]), answers: promise };
    calls.waiting = batch;
    const fail = (error: unknown) => resolve(error instanceof HasLaterData ? "later data" : "unreachable");
    waitUntil(this.#send(key, calls, batch, call).then(resolve, fail));
    return batch;
  }

  async #send(
    key: string,
    calls: Calls<Item, Answer>,
    batch: Batch<Item, Answer>,
    call: Call<Item, Answer>,
  ): Promise<Map<Item, Answer>> {
    if (calls.inFlight !== undefined) await withTimeout(calls.inFlight, timeoutMs, undefined);
    // From here on nobody joins: later requests open the next batch.
    if (calls.waiting === batch) calls.waiting = undefined;
    const items = [...batch.items];
    const answered = call(items);
    const settled = answered.then(
      () => undefined,
      () => undefined,
    );
    calls.inFlight = settled;
    try {
      const answers = await answered;
      return new Map(answers.map((answer, index) => [items[index] as Item, answer]));
    } finally {
      if (calls.inFlight === settled) calls.inFlight = undefined;
      if (calls.inFlight === undefined && calls.waiting === undefined) this.#calls.delete(key);
    }
  }
}
