/** The management API of a registry, over HTTP. */
import { CommandError } from "./command.ts";

const timeoutMs = 60_000;

/** Who asks whom. Without a password nobody in particular asks, which an open registry answers. */
export type ApiOptions = { url: URL; user: string; password: string | undefined };

/** Problem details, as far as they are told. Source: RFC 9457. */
type Problem = { title?: unknown; detail?: unknown; requestId?: unknown };

/** Requests to the API. Every failure is a {@link CommandError} that says what was wrong. */
export class Api {
  readonly #base: URL;
  readonly #user: string;
  readonly #headers: Record<string, string>;

  constructor({ url, user, password }: ApiOptions) {
    this.#base = new URL(`${url.pathname.replace(/\/+$/, "")}/api/v1/`, url);
    this.#user = user;
    const credentials = Buffer.from(`${user}:${password}`).toString("base64");
    this.#headers = password === undefined ? {} : { Authorization: `Basic ${credentials}` };
  }

  /** Sends a request; resolves with what was answered. `path` has no slash in front. */
  async send<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#exchange(method, new URL(path, this.#base), body);
    return await readJson<T>(response);
  }

  /** Reads an answer; `undefined` where there is no such thing. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.send<T>("GET", path);
    } catch (error) {
      if (error instanceof CommandError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Reads the entries of a list, page after page.
   *
   * @param field the field of the answer that holds the list
   * @param query parameters of the first page
   * @param limit how many entries at most
   */
  async list<T>(
    path: string,
    field: string,
    query: Record<string, string> = {},
    limit = Number.POSITIVE_INFINITY,
  ): Promise<T[]> {
    const entries: T[] = [];
    let next: URL | undefined = new URL(`${path}?${new URLSearchParams(query)}`, this.#base);
    while (next !== undefined && entries.length < limit) {
      const response: Response = await this.#exchange("GET", next);
      const page = (await readJson<Record<string, T[] | undefined>>(response))[field];
      if (!Array.isArray(page)) throw notARegistry(response);
      entries.push(...page);
      next = this.#nextPage(response);
    }
    return entries.slice(0, limit);
  }

  #nextPage({ headers }: Response): URL | undefined {
    const [, target] = /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers.get("Link") ?? "") ?? [];
    if (target === undefined) return undefined;
    const url = new URL(target, this.#base);
    if (url.origin === this.#base.origin) return url;
    throw new CommandError(`the next page is at ${url.origin}, which is not the registry's address`);
  }

  async #exchange(method: string, url: URL, body?: object): Promise<Response> {
    const response = await this.#fetch(method, url, body);
    if (response.ok) return response;
    throw new CommandError(await this.#whyRefused(response), response.status);
  }

  async #fetch(method: string, url: URL, body?: object): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    try {
      return await fetch(url, {
        method,
        headers: { Accept: "application/json, application/problem+json", ...this.#headers, ...type },
        // Credentials are for the address that they were given for.
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new CommandError(`cannot reach ${this.#base.origin}: ${reasonOf(error)}`);
    }
  }

  async #whyRefused(response: Response): Promise<string> {
    const { status, headers } = response;
    if (status >= 300 && status < 400) {
      const target = headers.get("Location") ?? "elsewhere";
      return `${this.#base.origin} sends on to ${target}: give the registry's own address with --url`;
    }
    const isProblem = headers.get("Content-Type")?.startsWith("application/problem+json") ?? false;
    const problem: Problem | undefined = isProblem
      ? await response.json().then(toProblem, () => undefined)
      : undefined;
    if (problem === undefined) return notARegistry(response).message;
    if (status === 401 && !("Authorization" in this.#headers)) {
      return "the registry asks for credentials: set STOWAGE_PASSWORD, or give the password with --password-stdin";
    }
    const subject = status === 401 ? `${this.#user} is not let in: ` : "";
    const wait = headers.get("Retry-After");
    return [
      subject + text(problem.title),
      problem.detail === undefined ? "" : `: ${text(problem.detail)}`,
      wait === null ? "" : `; try again in ${wait} s`,
      status >= 500 ? ` (request ${text(problem.requestId)})` : "",
    ].join("");
  }
}

async function readJson<T>(response: Response): Promise<T> {
  const body = await response.text();
  if (body === "") return undefined as T;
  try {
    return JSON.parse(body) as T;
  } catch {
    throw notARegistry(response);
  }
}

function notARegistry({ status, url }: Response): CommandError {
  return new CommandError(
    `${new URL(url).origin} does not answer as Stowage does (status ${status}): is --url right?`,
    status,
  );
}

function toProblem(json: unknown): Problem | undefined {
  return typeof json === "object" && json !== null ? json : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const reasons: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "there is no such host, or no network",
  ECONNRESET: "the connection was broken off",
  UND_ERR_SOCKET: "the connection was broken off",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is not trusted; NODE_EXTRA_CA_CERTS names a file of more CAs",
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  const { cause } = error;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  // Deno has no codes, but sentences.
  return reasons[code ?? ""] ?? (cause instanceof Error && cause.message ? cause.message : error.message);
}
