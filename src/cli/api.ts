/** The management API of a registry, over HTTP. */
import { RegistryError } from "../client/errors.ts";
import { readWhole } from "../client/exchange.ts";
import { followPages } from "../client/pages.ts";
import { fillPath } from "../contract/address.ts";
import type { MethodOf, OperationAt, Path } from "../contract/contract.ts";
import type { AnswerOf, Method, NamesIn, QueryOf, SentBodyOf } from "../contract/operation.ts";
import { type Connection, notStowage } from "./connection.ts";
import { CommandError } from "./errors.ts";

const timeoutMs = 60_000;
const readinessTimeoutMs = 5000;
/** Answers are pages; one of the largest has a few mebibytes. */
const maxAnswerBytes = 64 * 1024 * 1024;
const maxProblemBytes = 64 * 1024;
const prefix = "api/v1/";

/** The fields of problem details that the command line uses. Source: RFC 9457. */
type Problem = { title?: unknown; detail?: unknown; code?: unknown; requestId?: unknown; digest?: unknown };

/** What goes with a call: parameters for the path, a query, a body, as the operation has them. */
export type Sent<P extends Path, M extends MethodOf<P>> = ParametersSent<P> &
  QuerySent<OperationAt<P, M>> &
  BodySent<OperationAt<P, M>> & {
    /** The entity tag that the thing must still have. */
    ifMatch?: string;
  };

type ParametersSent<P> = [NamesIn<P>] extends [never] ? unknown : { params: Record<NamesIn<P>, string> };

/** What a query says is the registry's to check, as users say it. */
type QuerySent<O> = [QueryNames<O>] extends [never]
  ? { query?: never }
  : { query?: Partial<Record<QueryNames<O>, string | undefined>> };

type QueryNames<O> = keyof QueryOf<O> | (O extends { page: unknown } ? "n" : never);

type BodySent<O> = O extends { body: unknown }
  ? O extends { isBodyOptional: true }
    ? { body?: SentBodyOf<O> }
    : { body: SentBodyOf<O> }
  : unknown;

/** The same as {@link Sent}, which may be left out where nothing is needed. */
type Rest<S> = Record<never, never> extends S ? [sent?: S] : [sent: S];

/** What of {@link Sent} there may be, for operations of all kinds. */
type AnySent = {
  params?: Record<string, string>;
  query?: Record<string, string | undefined>;
  body?: object;
  ifMatch?: string;
};

/** What is asked besides the address. */
type Asked = { body?: object | undefined; ifMatch?: string | undefined; isRepeatable?: boolean };

/** The answer of an operation. */
type AnswerAt<P extends Path, M extends MethodOf<P>> = AnswerOf<OperationAt<P, M>>;

/** The paths that have a method. */
type PathsWith<M extends Method> = { [P in Path]: M extends MethodOf<P> ? P : never }[Path];

/** The fields of an answer that hold lists. */
type ListsIn<Answer> = {
  [Field in keyof Answer]: Answer[Field] extends readonly unknown[] ? Field : never;
}[keyof Answer] &
  string;

type EntryOf<List> = List extends readonly (infer Entry)[] ? Entry : never;

/** The paths whose work continues from cursor to cursor, and whose calls may be repeated. */
type PathsOfWork = {
  [P in PathsWith<"POST">]: OperationAt<P, "POST"> extends { isRepeatable: true } ? P : never;
}[PathsWith<"POST">];

/** The paths that answer with something that was pushed, as it is. */
type PathsOfContent = Extract<Path, `${string}/content`>;

/**
 * Requests to the API, typed by its contract: paths are written as it has them. Every failure is a {@link CommandError}
 * that says what was wrong.
 */
export class Api {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Asks whether the registry is ready; `state` is what it says of its parts. */
  async readiness(): Promise<{ isReady: boolean; state: unknown }> {
    const url = this.#connection.resolve("readyz");
    const response = await this.#connection.send(url, { method: "GET", timeoutMs: readinessTimeoutMs });
    const isAnswer = /^application\/json\b/.test(response.headers.get("Content-Type") ?? "");
    if (!isAnswer || ![200, 503].includes(response.status)) throw notStowage(response);
    return { isReady: response.ok, state: await this.#read(response) };
  }

  /** Calls an operation; resolves with its answer. */
  async send<P extends Path, M extends MethodOf<P>>(
    method: M,
    path: P,
    ...[sent]: Rest<Sent<P, M>>
  ): Promise<AnswerAt<P, M>> {
    const { body, ifMatch } = (sent ?? {}) as AnySent;
    const { answer } = await this.#ask<AnswerAt<P, M>>(method, this.#address(path, sent), { body, ifMatch });
    return answer;
  }

  /** Reads an answer; `undefined` where there is no such thing. */
  async find<P extends PathsWith<"GET">>(
    path: P,
    ...rest: Rest<Sent<P, "GET">>
  ): Promise<AnswerAt<P, "GET"> | undefined> {
    return await unlessUnknown(this.send<P, "GET">("GET", path, ...rest));
  }

  /** Calls an operation from cursor to cursor until the work is done; yields the answer of each call. */
  async *work<P extends PathsOfWork>(
    path: P,
    fields: Omit<SentBodyOf<OperationAt<P, "POST">>, "cursor">,
  ): AsyncGenerator<AnswerAt<P, "POST">> {
    let cursor: string | undefined;
    do {
      const body = cursor === undefined ? fields : { ...fields, cursor };
      const sent = { body, isRepeatable: true };
      const { answer } = await this.#ask<AnswerAt<P, "POST">>("POST", this.#address(path), sent);
      yield answer;
      cursor = (answer as { cursor?: string }).cursor;
    } while (cursor !== undefined);
  }

  /**
   * Reads the entries of a list, page after page.
   *
   * @param field the field of the answer that holds the list
   * @param limit how many entries at most
   */
  async list<P extends PathsWith<"GET">, F extends ListsIn<AnswerAt<P, "GET">>>(
    path: P,
    field: F,
    sent: Sent<P, "GET">,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<EntryOf<AnswerAt<P, "GET">[F]>[]> {
    const entries: EntryOf<AnswerAt<P, "GET">[F]>[] = [];
    for await (const page of this.pages(path, sent)) {
      const found: unknown = page[field];
      if (!Array.isArray(found)) throw notStowage({ url: this.#connection.origin, status: 200 });
      entries.push(...found);
      if (entries.length >= limit) break;
    }
    return entries.slice(0, limit);
  }

  /** Reads the pages of a list, as they were answered. */
  pages<P extends PathsWith<"GET">>(path: P, sent: Sent<P, "GET">): AsyncGenerator<AnswerAt<P, "GET">> {
    const read = async (address: URL) => {
      const { answer, response } = await this.#ask<AnswerAt<P, "GET">>("GET", address);
      return { page: answer, next: this.#connection.nextPage(response) };
    };
    const endless = () => new CommandError(`${this.#connection.origin} gives a list without an end`);
    return followPages(this.#address(path, sent), read, endless);
  }

  #address(path: string, { params = {}, query = {} }: AnySent = {}): URL {
    const url = this.#connection.resolve(prefix + fillPath(path, params).slice(1));
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return url;
  }

  /**
   * Opens something that was pushed, by a read that is no pull; `undefined` where the repository does not have it. Its
   * body takes as long as it takes.
   */
  async open(
    path: PathsOfContent,
    params: Record<string, string>,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    const response = await this.#connection.send(this.#address(path, { params }), { method: "GET" });
    if (response.ok) return response.body ?? new Blob([]).stream();
    return await unlessUnknown(Promise.reject(await this.#refusalOf(response)));
  }

  /** Sends a request and reads its answer; once more, if that breaks off and the request may be repeated. */
  async #ask<T>(
    method: string,
    url: URL,
    { body, ifMatch, isRepeatable = method === "GET" }: Asked = {},
  ): Promise<{ answer: T; response: Response }> {
    const once = async () => {
      const response = await this.#exchange(method, url, { body, ifMatch, isRepeatable });
      return { answer: await this.#read<T>(response), response };
    };
    return await once().catch(async (error: unknown) => {
      if (isRepeatable && error instanceof CommandError && error.cause instanceof RegistryError)
        return await once();
      throw error;
    });
  }

  async #exchange(
    method: string,
    url: URL,
    { body, ifMatch, isRepeatable }: Asked & { isRepeatable: boolean },
  ): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    if (ifMatch !== undefined) type["If-Match"] = ifMatch;
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

  /** Reads the JSON of an answer; `undefined` where it is empty, as some are whose status says all. */
  async #read<T>(response: Response): Promise<T> {
    const bytes = await readWhole(response, maxAnswerBytes).catch((error: unknown) => {
      if (!(error instanceof RegistryError)) throw error;
      throw error.kind === "broken" ? this.#connection.brokenOff(error) : notStowage(response);
    });
    if (bytes.byteLength === 0 && response.status !== 200) return undefined as T;
    const answer = parseObject(bytes);
    if (answer === undefined) throw notStowage(response);
    return answer as T;
  }

  async #refusalOf(response: Response): Promise<CommandError> {
    const { status, headers } = response;
    const isProblem = headers.get("Content-Type")?.startsWith("application/problem+json") ?? false;
    const body = isProblem ? await readWhole(response, maxProblemBytes).catch(() => undefined) : undefined;
    const problem: Problem | undefined = body === undefined ? undefined : parseObject(body);
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

/**
 * The body of an answer; `undefined` if the registry says that there is no such thing. A 404 of anybody else, such as a
 * proxy that does not pass on each path, is thrown.
 */
export async function unlessUnknown<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CommandError && error.status === 404 && error.code !== undefined) return undefined;
    throw error;
  }
}

/** The JSON object that bytes are, as all answers are; `undefined` if they are none. */
function parseObject(bytes: Uint8Array): object | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof json === "object" && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
