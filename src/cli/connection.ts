/** The connection to a registry: its address, its credentials, and the errors when it cannot be reached. */

import { basicAuthorization } from "../client/credentials.ts";
import { exchange, isBrokenOff } from "../client/exchange.ts";
import { systemFetch } from "../client/node.ts";
import { nextTarget } from "../client/pages.ts";
import { CommandError } from "./errors.ts";

const fetchAny = systemFetch();

/** Who asks whom. Without a password nobody in particular asks, which an open registry answers. */
export type ConnectionOptions = { url: URL; user: string; password: string | undefined };

/** How long an answer may take to begin whose body may take any time. */
const answerWithinMs = 60_000;

/**
 * What is sent. `timeoutMs`: how long an answer may take, with its body; without it, the body takes as long as it takes.
 * `isRepeatable`: sending it twice does no harm, as it is with GET and HEAD; nothing else is sent twice.
 */
export type Sent = {
  method: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  timeoutMs?: number;
  isRepeatable?: boolean;
};

/** Sends requests with the user's credentials, to one registry alone. */
export class Connection {
  readonly user: string;
  /** Whether there are credentials to send. */
  readonly hasCredentials: boolean;
  readonly origin: string;
  readonly #root: URL;
  readonly #headers: Record<string, string>;

  constructor({ url, user, password }: ConnectionOptions) {
    this.#root = new URL(`${url.pathname.replace(/\/+$/, "")}/`, url);
    this.origin = this.#root.origin;
    this.user = user;
    this.hasCredentials = password !== undefined;
    this.#headers = password === undefined ? {} : { Authorization: basicAuthorization(user, password) };
  }

  /** An address of the registry: below its own for a path without a leading slash; otherwise as it gave it. */
  resolve(path: string): URL {
    const url = URL.parse(path, this.#root);
    if (url?.origin === this.origin) return url;
    const where = url === null ? "at an address that is none" : `at ${url.origin}`;
    throw new CommandError(`the next page is ${where}, which is not the registry's address`);
  }

  /** Sends a request. Rejects with a {@link CommandError} when there is no answer, or a redirect. */
  async send(url: URL, { timeoutMs, ...sent }: Sent): Promise<Response> {
    const isRepeatable = sent.isRepeatable ?? (sent.method === "GET" || sent.method === "HEAD");
    const once = () => this.#exchange(url, sent, timeoutMs);
    const response = await once().catch(async (error: unknown) => {
      try {
        // workerd closes a connection that was idle for five seconds, and a process that was busy meanwhile has not
        // heard of it yet when it uses the connection again.
        if (isRepeatable && isBrokenOff(error)) return await once();
        throw error;
      } catch (last) {
        throw this.#unreached(last, timeoutMs);
      }
    });
    if (response.status < 300 || response.status >= 400) return response;
    const target = response.headers.get("Location") ?? "elsewhere";
    throw new CommandError(
      `${this.origin} sends on to ${target}: give the registry's own address with --url`,
      response.status,
    );
  }

  /** The address of the page after one that was answered; `undefined` after the last one. */
  nextPage(response: Response): URL | undefined {
    const target = nextTarget(response);
    return target === undefined ? undefined : this.resolve(target);
  }

  /** Says why an answer refuses, with who is not let in; `reason` is the registry's. */
  refusal(status: number, reason: string): string {
    if (status !== 401) return reason;
    return this.hasCredentials
      ? `${this.user} is not let in: ${reason}`
      : "the registry asks for credentials: set STOWAGE_PASSWORD, or give the password with --password-stdin";
  }

  /** Says that an answer broke off; it stands for none. */
  brokenOff(cause: Error): CommandError {
    const message = `cannot read all that ${this.origin} answers: ${cause.message}`;
    return new CommandError(message, undefined, { code: "UNREACHABLE", cause });
  }

  async #exchange(
    url: URL,
    { method, headers, body }: Sent,
    timeoutMs: number | undefined,
  ): Promise<Response> {
    return await exchange(fetchAny, url, {
      method,
      headers: { ...headers, ...this.#headers },
      body,
      ...(timeoutMs === undefined ? { answerWithinMs } : { signal: AbortSignal.timeout(timeoutMs) }),
    });
  }

  #unreached(error: unknown, timeoutMs = 0): CommandError {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const late = `cannot reach ${this.origin}: no answer within ${timeoutMs / 1000} s`;
    const message = isLate ? late : error instanceof Error ? error.message : String(error);
    return new CommandError(message, undefined, { code: "UNREACHABLE" });
  }
}

/** The message for an answer that does not come from a registry. */
export function notStowage({ status, url }: Pick<Response, "status" | "url">): CommandError {
  const { origin } = new URL(url);
  return new CommandError(
    `${origin} does not answer as Stowage does (status ${status}): is --url right?`,
    status,
  );
}
