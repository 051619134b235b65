/**
 * What an endpoint is called with, and what it returns.
 */
import type { filesHeader } from "../machine.ts";
import type { Failure } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Grant, Verb } from "../oci/grant.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Cached } from "../oci/upstream.ts";
import type { Registry } from "../registry/registry.ts";
import type { WaitUntil } from "../registry/shared-calls.ts";
import type { FileRange } from "../storage/disk-files.ts";

/** How the caller authenticated. */
export type Credential = "none" | "open" | "password" | "session" | "bearer" | "scraper";

/** What the caller may do. It does not cover public repositories, which everybody may pull. */
export type Access = {
  /** The caller's account, as it appears in histories and the audit log and is signed into upload sessions. */
  account: string;
  credential: Credential;
  /** The generated token that the caller used, or that their bearer token was issued for, if any. */
  tokenId?: string | undefined;
  /** The version of the credentials that a bearer token was issued for. Tokens of earlier releases have none. */
  version?: string | undefined;
  /** When the session of a browser ends, in milliseconds since 1970. */
  endsAtMs?: number | undefined;
  /** What the caller was granted: an action is allowed if each of the sets allows it. */
  grantSets: Grant[][];
  may(verb: Verb, repository: RepositoryName): boolean;
  /** Whether the caller may manage accounts. */
  isAdministrator: boolean;
  /** Whether the caller may list repositories. The list shows only those that they may pull. */
  mayList: boolean;
  /**
   * Whether a refusal by {@link may} is final. It is not for a bearer token that was requested without this scope: the
   * client can get another token.
   */
  isFinal(verb: Verb, repository: RepositoryName): boolean;
};

/** A request to the registry, once it is routed and authorised. */
export type Context = {
  request: Request;
  url: URL;
  /** The parameters in the path, percent-decoded but not validated. */
  params: Record<string, string>;
  registry: Registry;
  access: Access;
  /** The client's address as far as it is known, for limits, audit and events. */
  address: string;
  requestId: string;
  waitUntil: WaitUntil;
  /** Sends the whole answer at once, but keeps it open until a promise settles. */
  keepOpenUntil: WaitUntil;
  /** Reports how many bytes of the body were received, for the metrics. Without it, `Content-Length` is counted. */
  reportBodySize: (sizeBytes: number) => void;
};

/** A request about one repository. `cached`: what it stands for, if its name is one of an upstream. */
export type RepositoryContext = Context & { repository: RepositoryName; cached?: Cached | undefined };

/** Headers by name. */
export type HeaderMap = Record<string, string>;

/** Memory that is reserved for an answer, until it is released. `isLost`: others have it, and the answer is to end. */
export type Room = { readonly isLost: boolean; noteProgress(): void; release(): void };

/**
 * An answer that is not an error. `contentLength` is needed if the body is a stream or in files, or is omitted for HEAD.
 */
export type Reply = {
  status: number;
  headers?: HeaderMap;
  body?: ReadableStream | Uint8Array | string;
  /** The files that have the body, or a stream of their list; only for a request with {@link filesHeader}. */
  files?: FileRange[] | ReadableStream;
  contentLength?: number;
  /** Whether the body is encoded already, as `Content-Encoding` says. */
  isEncoded?: true;
  /** The memory of a body that is large; whoever sends it releases that. */
  room?: Room;
};

/** An error, with the headers that go with it. */
export type Refusal = Failure & { headers?: HeaderMap };

/** What an endpoint returns; edge/respond.ts makes the `Response`. */
export type Answer = Reply | Refusal;

/** How many characters of a header go into events at most. */
const maxLength = 255;

/**
 * The origin of the events that this request causes. The registry's URL comes from its settings and never from the
 * request: receivers of an event may pull from that URL.
 */
export function eventOrigin({ request, registry, access, address, requestId }: Context): Origin {
  const { publicUrl } = registry.settings;
  return {
    actor: access.account,
    address,
    requestId,
    method: request.method,
    host: publicUrl === undefined ? "" : new URL(publicUrl).host,
    userAgent: (request.headers.get("User-Agent") ?? "").slice(0, maxLength),
    url: publicUrl ?? "",
    instance: registry.instance,
  };
}
