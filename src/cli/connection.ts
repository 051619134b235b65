/** The connection to a registry: its address, who asks, and what is told when it cannot be reached. */
import { CommandError } from "./errors.ts";

/** Who asks whom. Without a password nobody in particular asks, which an open registry answers. */
export type ConnectionOptions = { url: URL; user: string; password: string | undefined };

/**
 * What is sent. `timeoutMs`: how long an answer may take, with its body; without it, as long as it takes.
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
    const credentials = Buffer.from(`${user}:${password}`).toString("base64");
    this.#headers = password === undefined ? {} : { Authorization: `Basic ${credentials}` };
  }

  /** An address of the registry: below its own, for a path without a slash in front; else what it named. */
  resolve(path: string): URL {
    const url = new URL(path, this.#root);
    if (url.origin === this.origin) return url;
    throw new CommandError(`the next page is at ${url.origin}, which is not the registry's address`);
  }

  /** Sends a request. Rejects with a {@link CommandError} when there is no answer, or a redirect. */
  async send(url: URL, { timeoutMs, ...sent }: Sent): Promise<Response> {
    const isRepeatable = sent.isRepeatable ?? (sent.method === "GET" || sent.method === "HEAD");
    let response: Response;
    try {
      // workerd closes a connection that was idle for five seconds, and a process that was busy meanwhile has not
      // heard of it yet when it uses the connection again.
      response = await this.#fetch(url, sent, timeoutMs).catch((error: unknown) => {
        if (!isRepeatable || !isBroken(error)) throw error;
        return this.#fetch(url, sent, timeoutMs);
      });
    } catch (error) {
      const reason = reasonOf(error, timeoutMs);
      throw new CommandError(`cannot reach ${this.origin}: ${reason}`, undefined, { code: "UNREACHABLE" });
    }
    if (response.status < 300 || response.status >= 400) return response;
    const target = response.headers.get("Location") ?? "elsewhere";
    throw new CommandError(
      `${this.origin} sends on to ${target}: give the registry's own address with --url`,
      response.status,
    );
  }

  /** The address of the page after one that was answered; `undefined` after the last one. Source: RFC 8288. */
  nextPage({ headers }: Response): URL | undefined {
    const [, target] = /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers.get("Link") ?? "") ?? [];
    return target === undefined ? undefined : this.resolve(target);
  }

  /** Says why an answer refuses, with who is not let in; `reason` is the registry's. */
  refusal(status: number, reason: string): string {
    if (status !== 401) return reason;
    return this.hasCredentials
      ? `${this.user} is not let in: ${reason}`
      : "the registry asks for credentials: set STOWAGE_PASSWORD, or give the password with --password-stdin";
  }

  async #fetch(url: URL, { method, headers, body }: Sent, timeoutMs: number | undefined): Promise<Response> {
    return await fetch(url, {
      method,
      headers: { ...headers, ...this.#headers },
      // Credentials are for the address that they were given for.
      redirect: "manual",
      ...(timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) }),
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
  }
}

/** What to say of an answer that is none of the registry's. */
export function notStowage({ status, url }: Pick<Response, "status" | "url">): CommandError {
  const { origin } = new URL(url);
  return new CommandError(
    `${origin} does not answer as Stowage does (status ${status}): is --url right?`,
    status,
  );
}

const brokenOff = "the connection was broken off";

const speaksHttp = "the server speaks http, not https: write --url with http://";

const reasons: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "there is no such host, or no network",
  ECONNRESET: brokenOff,
  UND_ERR_SOCKET: brokenOff,
  ERR_SSL_WRONG_VERSION_NUMBER: speaksHttp,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: speaksHttp,
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
};

function isBroken(error: unknown): boolean {
  return reasonOf(error) === brokenOff;
}

/** Why a connection came to nothing, in words. */
export function reasonOf(error: unknown, timeoutMs = 0): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  const { cause } = error;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  const known = reasons[code ?? ""];
  if (known !== undefined) return known;
  // Deno has no codes, but sentences; this one is rustls' of an answer that is not TLS.
  const sentence = cause instanceof Error && cause.message ? cause.message : error.message;
  return sentence.includes("InvalidContentType") ? speaksHttp : sentence;
}
