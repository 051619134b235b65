/** One request of a client of the proxy, and its answer. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { RegistryError } from "../../client/errors.ts";
import { discard, readWhole } from "../../client/exchange.ts";
import { parseRepositoryName } from "../../oci/reference.ts";
import { type AccessEntry, catalogScope } from "../../oci/scope.ts";
import type { Addresses } from "./addresses.ts";
import { Body } from "./body.ts";
import { requestHeaders, responseHeaders } from "./headers.ts";

/** An answer that comes before a body's end is an error; those are small. */
const maxRefusalBytes = 1024 * 1024;

/** Answers of the proxy itself, in the form of the registry's errors. */
export type Refusal = { status: number; code: string; message: string; headers?: Record<string, string> };

/** A request, with its address and credentials at the registry. */
export class Caller {
  readonly method: string;
  /** Its address at the registry. */
  readonly address: URL;
  /** The registry's headers of it. */
  readonly headers: Record<string, string>;
  /** The credentials for the registry: the client's own, `""` for none, or `undefined` for those of the proxy. */
  readonly authorization: string | undefined;
  /** The scopes for which the proxy's credentials need a token. */
  readonly scopes: readonly AccessEntry[];
  readonly body: Body;
  /** Aborts its work when the client disconnects. */
  readonly signal: AbortSignal;
  readonly #addresses: Addresses;
  readonly #own: string;
  readonly #response: ServerResponse;
  #mustContinue: boolean;

  /**
   * @param own `http(s)://host[:port]`, as the client calls the proxy
   * @param hasCredentials whether the proxy has some for clients that send none
   */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    addresses: Addresses,
    own: string,
    hasCredentials: boolean,
  ) {
    const target = request.url ?? "/";
    this.method = request.method ?? "GET";
    this.address = addresses.upstream(target);
    this.headers = requestHeaders(request);
    this.authorization = request.headers.authorization ?? (hasCredentials ? undefined : "");
    this.scopes = scopesOf(this.method, target);
    this.body = new Body(request);
    this.#addresses = addresses;
    this.#own = own;
    this.#response = response;
    this.#mustContinue = /^100-continue$/i.test(request.headers.expect ?? "");
    const controller = new AbortController();
    this.signal = controller.signal;
    response.once("close", () => {
      if (!response.writableFinished) controller.abort(new Error("the client went away"));
    });
  }

  /** A parameter of the request's query. */
  query(name: string): string | undefined {
    return this.address.searchParams.get(name) ?? undefined;
  }

  /** Lets a client that waits for `100 Continue` begin its body. */
  welcomeBody(): void {
    if (this.#mustContinue) this.#response.writeContinue();
    this.#mustContinue = false;
  }

  /** An address of the registry as the client is to call it. */
  downstream(address: URL): string {
    return this.#addresses.downstream(address.href, address, this.#own);
  }

  /** Passes an answer of the registry on. */
  async relay(answer: Response): Promise<void> {
    const headers = responseHeaders(answer, this.#addresses, this.address, this.#own);
    if (this.#response.headersSent || this.#response.destroyed) return await discard(answer);
    if (!this.body.hasEnded && headers["content-length"] === undefined && this.method !== "HEAD") {
      // The client should receive the end of this refusal before it has sent everything.
      const whole = await readWhole(answer, maxRefusalBytes);
      headers["content-length"] = String(whole.byteLength);
      this.#response.writeHead(answer.status, headers);
      this.#response.write(whole);
      return await this.#end();
    }
    this.#response.writeHead(answer.status, headers);
    if (answer.body === null || this.method === "HEAD") await discard(answer);
    // If one side breaks off, the other is broken off too, so that a part is not taken for the whole.
    else await pipeline(Readable.fromWeb(answer.body as never), this.#response, { end: false });
    await this.#end();
  }

  /** Answers for the proxy. */
  async answer(status: number, headers: Record<string, string>, body = ""): Promise<void> {
    if (this.#response.headersSent || this.#response.destroyed) return;
    this.#response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers });
    if (this.method !== "HEAD" && body !== "") this.#response.write(body);
    await this.#end();
  }

  /** Ends the answer, once the client has sent what it was sending: at the end the connection may go. */
  async #end(): Promise<void> {
    this.#response.flushHeaders();
    await this.body.drain();
    this.#response.end();
  }

  /** Answers with an error. */
  async refuse({ status, code, message, headers }: Refusal): Promise<void> {
    const body = JSON.stringify({ errors: [{ code, message: `stowage proxy: ${message}` }] });
    await this.answer(status, { "Content-Type": "application/json", ...headers }, body);
  }

  /** Answers for an error that happened on the way. */
  async fail(error: unknown): Promise<void> {
    if (this.signal.aborted) return;
    if (!(error instanceof RegistryError)) throw error;
    await this.refuse({ status: 502, code: error.code ?? "UNAVAILABLE", message: error.message });
  }

  /** Closes the connection: an answer that has begun cannot be taken back. */
  abandon(): void {
    this.#response.destroy();
  }
}

const route = /^\/v2\/(.+)\/(blobs|manifests|tags|referrers)\/([^?]*)/;

/** The scopes that a request needs. A push begins with checks for existing content, which may use its scopes. */
function scopesOf(method: string, target: string): AccessEntry[] {
  if (target.startsWith("/v2/_catalog")) return [catalogScope];
  const [, text = "", kind, rest = ""] = route.exec(target) ?? [];
  const name = parseRepositoryName(text);
  if (name === undefined) return [];
  const isRead =
    (method === "GET" && !rest.startsWith("uploads/")) || (method === "HEAD" && kind !== "blobs");
  const isDeletion = method === "DELETE" && !rest.startsWith("uploads/");
  const actions = isRead ? ["pull"] : isDeletion ? ["pull", "push", "delete"] : ["pull", "push"];
  const from = parseRepositoryName(new URLSearchParams(target.split("?")[1]).get("from") ?? "");
  const source =
    from === undefined || from === name ? [] : [{ type: "repository", name: from, actions: ["pull"] }];
  return [{ type: "repository", name, actions }, ...source];
}
