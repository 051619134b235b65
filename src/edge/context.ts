/**
 * What an endpoint gets, and what it gives back.
 */
import type { Failure } from "../oci/errors.ts";
import type { Origin } from "../oci/event.ts";
import type { Verb } from "../oci/grant.ts";
import type { RepositoryName } from "../oci/reference.ts";
import type { Registry } from "../registry/registry.ts";
import type { WaitUntil } from "../registry/shared-calls.ts";

/** How the caller showed who they are. */
export type Credential = "none" | "open" | "password" | "bearer" | "scraper";

/** What the one who asks may do. Whether a repository is public is another matter. */
export type Access = {
  /** Who asks, as it is written into histories and audit, and signed into upload sessions. */
  account: string;
  credential: Credential;
  /** The generated token that this goes back to, if it does. */
  tokenId?: string | undefined;
  /** The version of the credentials that a bearer token was issued for; one of an earlier release has none. */
  version?: string | undefined;
  may(verb: Verb, repository: RepositoryName): boolean;
  /** Whether the caller may manage accounts. */
  isAdministrator: boolean;
  /** Whether the caller may list repositories; of which the list then shows those that they may pull. */
  mayList: boolean;
  /**
   * Whether the answer to what {@link may} refuses is final. A bearer token may only have been asked for with
   * something else in mind; its holder can get another.
   */
  isFinal(verb: Verb, repository: RepositoryName): boolean;
};

/**
 * Whom a route of the API is open to: administrators, always; also an account for what is its own, a generated token
 * for itself alone, or every account; the metrics also to who has the token for them. A generated token is given away
 * for less than all that its account may, so it does not speak for the account here.
 */
export type ManagementRight = "administrator" | "scraper" | "own account" | "own token" | "account";

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
export type Refusal = Failure & { headers?: HeaderMap };

/** What an endpoint gives back; edge/respond.ts writes it. */
export type Answer = Reply | Refusal;

/** The most characters of a header that go into events. */
const maxLength = 255;

/**
 * Who caused what, by this request. Where the registry is, its settings say, and nothing that the client sent: who
 * listens may pull what the event names from there.
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
