/** The management API of the registry that served the page, typed by its contract. */
import { fillPath } from "../contract/address.ts";
import type { MethodOf, OperationAt, Path } from "../contract/contract.ts";
import type { AnswerOf, SentBodyOf } from "../contract/operation.ts";

/** What an operation answers. */
export type Answer<P extends Path, M extends MethodOf<P> = "GET" & MethodOf<P>> = AnswerOf<OperationAt<P, M>>;

/** A call that failed; `status` 0: the registry could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string;

  constructor(
    status: number,
    problem: { title?: string; detail?: string; code?: string; requestId?: string },
  ) {
    super(problem.title ?? "");
    this.status = status;
    this.code = problem.code ?? "";
    this.detail = problem.detail ?? "";
    this.requestId = problem.requestId ?? "";
  }
}

/** What goes with a call besides its path. */
export type Sent<P extends Path, M extends MethodOf<P>> = {
  params?: Record<string, string>;
  query?: Record<string, string | number | undefined>;
  body?: SentBodyOf<OperationAt<P, M>>;
  signal?: AbortSignal;
};

/** The path and query of an operation. */
export function addressOf(
  path: string,
  params: Record<string, string> = {},
  query: Record<string, string | number | undefined> = {},
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  return `/api/v1${fillPath(path, params)}${search.size === 0 ? "" : `?${search}`}`;
}

async function exchange(
  method: string,
  address: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  const headers = { "Content-Type": "application/json", "X-Requested-With": "stowage" };
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal !== undefined) init.signal = signal;
  const response = await fetch(address, init).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new ApiError(0, {});
  });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem);
}

/**
 * Calls an operation.
 *
 * @throws ApiError
 */
export async function send<P extends Path, M extends MethodOf<P>>(
  method: M,
  path: P,
  { params, query, body, signal }: Sent<P, M> = {},
): Promise<Answer<P, M>> {
  const response = await exchange(method, addressOf(path, params, query), body, signal);
  return response.status === 204 || response.status === 202
    ? (undefined as Answer<P, M>)
    : ((await response.json()) as Answer<P, M>);
}

/** A page of a list, and where the next one is. */
export type PageOf<P extends Path> = { answer: Answer<P, "GET" & MethodOf<P>>; next: string | undefined };

/**
 * Reads a page of a list by its address: of {@link addressOf}, or of the page before.
 *
 * @throws ApiError
 */
export async function readPage<P extends Path>(address: string, signal?: AbortSignal): Promise<PageOf<P>> {
  const response = await exchange("GET", address, undefined, signal);
  const next = /<([^>]+)>;\s*rel="?next/.exec(response.headers.get("Link") ?? "")?.[1];
  return { answer: await response.json(), next };
}

/** Where a blob can be read from, without that being a pull. */
export function contentAddress(name: string, digest: string): string {
  return addressOf("/repositories/{name}/blobs/{digest}/content", { name, digest });
}

/**
 * Reads a blob.
 *
 * @throws ApiError
 */
export async function readContent(name: string, digest: string, signal?: AbortSignal): Promise<Blob> {
  return (await exchange("GET", contentAddress(name, digest), undefined, signal)).blob();
}
