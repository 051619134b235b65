/**
 * Routes: a pattern, and for each method what access it needs and the endpoint that answers.
 */
import type { AccessRule, Method } from "../contract/operation.ts";
import type { Verb } from "../oci/grant.ts";
import type { AccessEntry } from "../oci/scope.ts";
import type { Answer, Context, RepositoryContext } from "./context.ts";

type Endpoint = (context: Context) => Promise<Answer>;

/** A route that is open to everybody; its endpoint authenticates the caller itself where it has to. */
export type PublicRoute = {
  name: string;
  path: string;
  of: "public";
  /** Whether a GET changes something, such as the audit log. Cross-site requests to it are refused. */
  hasSideEffect?: boolean;
  methods: Partial<Record<Method, Endpoint>>;
};

/** A route that reports whether the registry works. It also answers while no credential is configured. */
export type HealthRoute = {
  name: string;
  path: string;
  of: "health";
  isProbe?: boolean;
  methods: Partial<Record<Method, (context: Pick<Context, "registry" | "request">) => Promise<Answer>>>;
};

/** A route about the registry as a whole, open to every caller with a credential. */
export type RegistryRoute = {
  name: string;
  path: string;
  of: "registry";
  /** The scope that a bearer token needs for it: listing repositories. */
  scope?: AccessEntry;
  methods: Partial<Record<Method, Endpoint>>;
};

/** A route about one repository; each method needs a verb on it. */
export type RepositoryRoute = {
  name: string;
  path: string;
  of: "repository";
  /**
   * Whether the route serves content: blobs or manifests. Clients check by HEAD whether content exists before they push
   * it, so a right to push is enough for HEAD. Changes made with a password are audited.
   */
  isContent?: boolean;
  methods: Partial<Record<Method, RepositoryEndpoint>>;
};

/** The verb that a method of a repository's route needs, and the endpoint that answers. */
export type RepositoryEndpoint = {
  needs: Verb;
  /** Whether it stores something, and so is refused while the disk is full. */
  needsDiskSpace?: true;
  /** Whether its answer is a list, which may be large. */
  isList?: true;
  answer: (context: RepositoryContext) => Promise<Answer>;
};

/**
 * A route of the management API; each method has its own access rule. `isProbe`: monitoring polls the route, so its
 * lines may be left out of the log.
 */
export type ManagementRoute = {
  name: string;
  path: string;
  of: "management";
  isProbe?: boolean;
  methods: Partial<Record<Method, ManagementEndpoint>>;
};

/**
 * Who may call a method of the management API, and the endpoint that answers. `scraper`: administrators, and callers
 * with the token for the metrics.
 */
export type ManagementEndpoint = { access: AccessRule | "scraper"; answer: Endpoint };

/** A route of any kind. */
export type Route = HealthRoute | PublicRoute | RegistryRoute | RepositoryRoute | ManagementRoute;
