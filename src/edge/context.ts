/**
 * What an endpoint gets, and what it gives back.
 */
import type { Failure } from "../oci/errors.ts";
import type { RepositoryName } from "../oci/name.ts";
import type { Registry } from "../registry/registry.ts";
import type { WaitUntil } from "../registry/shared-calls.ts";
import type { Access } from "./auth/access.ts";

/** A request to the registry, once it is routed and authorised. */
export type Context = {
  request: Request;
  url: URL;
  /** What the route's pattern matched, percent-decoded; unchecked otherwise. */
  params: Record<string, string>;
  registry: Registry;
  access: Access;
  /** Where the client is, as far as that is known; for traces. */
  address: string;
  /** The network that its address is counted with; `undefined` where there is no address. */
  network: string | undefined;
  requestId: string;
  waitUntil: WaitUntil;
  /** Keeps the answer from ending before a promise settles; all of it is sent at once nevertheless. */
  hold: WaitUntil;
  /** Notes how many bytes of the body came, for those who count; without it, what was announced is counted. */
  received: (sizeBytes: number) => void;
};

/** A request about one repository. */
export type RepositoryContext = Context & { repository: RepositoryName };

/** Headers by name. */
export type HeaderMap = Record<string, string>;

/** An answer that is not an error. A `contentLength` is given where the body is a stream, or is left out for HEAD. */
export type Reply = {
  status: number;
  headers?: HeaderMap;
  body?: ReadableStream | Uint8Array | string;
  contentLength?: number;
};

/** An error, with the headers that go with it. */
export type Refusal = { failure: Failure; headers?: HeaderMap };

/** What an endpoint gives back; edge/respond.ts writes it. */
export type Answer = Reply | Refusal;

/** An answer in JSON. */
export function jsonReply(value: unknown, headers: HeaderMap = {}): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(value),
  };
}
