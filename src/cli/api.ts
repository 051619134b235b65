/** The management API of a registry, over HTTP. */

import { type Connection, notStowage } from "./connection.ts";
import { CommandError } from "./errors.ts";

const timeoutMs = 60_000;
const prefix = "api/v1/";

/** Problem details, as far as they are told. Source: RFC 9457. */
type Problem = { title?: unknown; detail?: unknown; code?: unknown; requestId?: unknown; digest?: unknown };

/** Requests to the API. Every failure is a {@link CommandError} that says what was wrong. */
export class Api {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Sends a request; resolves with what was answered. `path` has no slash in front. */
  async send<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#exchange(method, this.#connection.resolve(prefix + path), body);
    return await readJson<T>(response);
  }

  /** Reads an answer; `undefined` where there is no such thing. */
  async find<T>(path: string): Promise<T | undefined> {
    return await unlessUnknown(this.send<T>("GET", path));
  }

  /** Sends the same request from cursor to cursor, to the end of the work; yields what each was answered with. */
  async *work<T extends object>(path: string, fields: object = {}): AsyncGenerator<T> {
    let cursor: string | undefined;
    do {
      const url = this.#connection.resolve(prefix + path);
      const body = cursor === undefined ? fields : { ...fields, cursor };
      const answer = await readJson<T>(await this.#exchange("POST", url, body, true));
      yield answer;
      cursor = (answer as { cursor?: string }).cursor;
    } while (cursor !== undefined);
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
    for await (const page of this.pages<Record<string, T[] | undefined>>(path, query)) {
      const found = page[field];
      if (!Array.isArray(found)) throw notStowage({ url: this.#connection.origin, status: 200 });
      entries.push(...found);
      if (entries.length >= limit) break;
    }
    return entries.slice(0, limit);
  }

  /** Reads the pages of a list, as they were answered. */
  async *pages<T>(path: string, query: Record<string, string> = {}): AsyncGenerator<T> {
    const first = `${prefix}${path}?${new URLSearchParams(query)}`;
    let next: URL | undefined = this.#connection.resolve(first);
    while (next !== undefined) {
      const response: Response = await this.#exchange("GET", next);
      yield await readJson<T>(response);
      next = this.#connection.nextPage(response);
    }
  }

  async #exchange(
    method: string,
    url: URL,
    body?: object,
    isRepeatable = method === "GET",
  ): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    const response = await this.#connection.send(url, {
      method,
      headers: { Accept: "application/json, application/problem+json", ...type },
      timeoutMs,
      isRepeatable,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    throw await this.#refusalOf(response);
  }

  async #refusalOf(response: Response): Promise<CommandError> {
    const { status, headers } = response;
    const isProblem = headers.get("Content-Type")?.startsWith("application/problem+json") ?? false;
    const problem: Problem | undefined = isProblem
      ? await response.json().then(toProblem, () => undefined)
      : undefined;
    if (problem === undefined) return notStowage(response);
    const wait = headers.get("Retry-After");
    const isForOthers = problem.code === "DENIED" && problem.detail === undefined && !this.#isOwn(response);
    const reason = [
      text(problem.title),
      isForOthers ? ": this is for administrators" : "",
      problem.detail === undefined ? "" : `: ${text(problem.detail)}`,
      wait === null ? "" : `; try again in ${wait} s`,
      status >= 500 ? ` (request ${text(problem.requestId)})` : "",
    ].join("");
    const facts = { code: textOf(problem.code), digest: textOf(problem.digest) };
    return new CommandError(this.#connection.refusal(status, reason), status, facts);
  }

  /** Whether an answer is about the user's own account, which a token may do less with than the password. */
  #isOwn({ url }: Response): boolean {
    const own = this.#connection.resolve(`${prefix}accounts/${this.#connection.user}`);
    return `${url}/`.startsWith(`${own}/`);
  }
}

/** What was answered; `undefined` where there is no such thing. */
export async function unlessUnknown<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CommandError && error.status === 404) return undefined;
    throw error;
  }
}

/** Reads the JSON of an answer; `undefined` where it is empty. */
export async function readJson<T>(response: Response): Promise<T> {
  const body = await response.text();
  if (body === "") return undefined as T;
  try {
    return JSON.parse(body) as T;
  } catch {
    throw notStowage(response);
  }
}

function toProblem(json: unknown): Problem | undefined {
  return typeof json === "object" && json !== null ? json : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
