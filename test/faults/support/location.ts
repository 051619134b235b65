/** The clients of a location: their requests go straight to the Worker's `fetch`, as that location's isolate. */
import worker from "../../../src/worker.ts";

import type { LocationIndex } from "./program.ts";
import { adminPassword, advanceClock, type World } from "./world.ts";

/** An answer, read to its end. `isWhole`: it is as long as it says, and did not break off. */
export type Reply = { status: number; headers: Headers; bytes: Uint8Array; isWhole: boolean };

/** Who asks with a token: may pull, push and delete; or pull alone. */
export type Caller = "pusher" | "reader";

export type SendOptions = {
  as?: Caller | "administrator";
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Whether the client goes away when it has had the first bytes of the answer. */
  leaves?: boolean;
};

/** How much time passes with each request, in milliseconds. */
const requestMs = 60;

/** What names the content of an answer. */
export const digestHeader = "Docker-Content-Digest";

const origin = "https://registry.example";

const password = `Basic ${btoa(`admin:${adminPassword}`)}`;

const callers: readonly Caller[] = ["pusher", "reader"];

const actions: Record<Caller, string> = { pusher: "pull,push,delete", reader: "pull" };

/** The clients of all locations of a world. */
export class Clients {
  requests = 0;
  readonly #world: World;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  readonly #scopes: string[];
  readonly #tokens = new Map<Caller, { token: string; until: number }>();

  constructor(world: World, repositories: string[], waitUntil: (promise: Promise<unknown>) => void) {
    this.#world = world;
    this.#waitUntil = waitUntil;
    this.#scopes = repositories.map((name) => `repository:${name}`);
  }

  /** Sends a request to a location; waits for what it left to be done, too. */
  async send(at: LocationIndex, method: string, path: string, options: SendOptions = {}): Promise<Reply> {
    const { as = "pusher", headers = {}, body, leaves = false } = options;
    const authorization = as === "administrator" ? password : `Bearer ${await this.#token(as)}`;
    const sent = { ...headers, Authorization: authorization };
    const reply = await this.#fetch(at, method, path, sent, body, leaves);
    const target = path.replace(/(uploads\/[0-9a-f]{4})[^?]*/, "$1…").replace(/^\/v2\/repository-/, "");
    const stale = reply.headers.has("Warning") ? " stale" : "";
    const line = `${at} ${method} ${abridged(target)} (${as}): ${reply.status}${stale}${errorOf(reply)}`;
    this.#world.trace.push(line);
    return reply;
  }

  async #fetch(
    at: LocationIndex,
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Uint8Array | undefined,
    leaves = false,
  ): Promise<Reply> {
    this.requests++;
    advanceClock(requestMs);
    const length: Record<string, string> =
      method === "GET" || method === "HEAD" ? {} : { "Content-Length": String(body?.byteLength ?? 0) };
    const request = new Request(origin + path, {
      method,
      headers: { ...length, ...headers },
      body: body ?? null,
    });
    const left: Promise<unknown>[] = [];
    const context = { waitUntil: (promise: Promise<unknown>) => left.push(promise) };
    const response = await worker.fetch(
      request as Parameters<typeof worker.fetch>[0],
      this.#world.env(at),
      context as unknown as ExecutionContext,
    );
    const { bytes, isWhole } = leaves ? await readSome(response) : await readBody(method, response);
    const settled = Promise.allSettled(left);
    this.#waitUntil(settled);
    await settled;
    return { status: response.status, headers: response.headers, bytes, isWhole };
  }

  /** All have their first tokens from before the first push: those that come later say which names are registered. */
  async #token(caller: Caller): Promise<string> {
    const known = this.#tokens.get(caller);
    if (known !== undefined && known.until > Date.now()) return known.token;
    const missing = callers.filter((each) => each === caller || !this.#tokens.has(each));
    for (const each of missing) await this.#getToken(each);
    return this.#token(caller);
  }

  async #getToken(caller: Caller): Promise<void> {
    const scopes = this.#scopes.map((scope) => `scope=${scope}:${actions[caller]}`).join("&");
    const path = `/token?service=stowage&${scopes}`;
    const reply = await this.#world.faults.suspended(() =>
      this.#fetch(0, "GET", path, { Authorization: password }, undefined),
    );
    const { token, expires_in: seconds } = jsonOf<{ token: string; expires_in: number }>(reply);
    // A request may take a while by the programs' clock.
    this.#tokens.set(caller, { token, until: Date.now() + (seconds - 600) * 1000 });
  }
}

async function readBody(method: string, response: Response): Promise<Pick<Reply, "bytes" | "isWhole">> {
  const body = await response.arrayBuffer().catch(() => undefined);
  const bytes = new Uint8Array(body ?? []);
  const announced = Number(response.headers.get("Content-Length") ?? bytes.byteLength);
  return { bytes, isWhole: body !== undefined && (method === "HEAD" || bytes.byteLength === announced) };
}

/** Reads the first bytes, and goes away. */
async function readSome({ body }: Response): Promise<Pick<Reply, "bytes" | "isWhole">> {
  const reader = body?.getReader();
  const first = await reader?.read().catch(() => undefined);
  await reader?.cancel().catch(() => {});
  return { bytes: new Uint8Array(first?.value ?? []), isWhole: false };
}

/** The JSON of an answer. */
export function jsonOf<T>({ bytes }: Reply): T {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** A text for the trace, with no more of each digest than tells it from others. */
export function abridged(text: string): string {
  return text.replace(/\b(sha256:[0-9a-f]{6})[0-9a-f]*/g, "$1").slice(0, 300);
}

function errorOf({ status, bytes }: Reply): string {
  return status < 400 ? "" : ` ${abridged(new TextDecoder().decode(bytes))}`;
}
