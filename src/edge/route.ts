/**
 * What a route is: a pattern, and for each method what it needs and who answers.
 */
import type { AccessRule } from "../contract/operation.ts";
import type { Verb } from "../oci/grant.ts";
import type { AccessEntry } from "../oci/scope.ts";
import type { Answer, Context, RepositoryContext } from "./context.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

type Endpoint = (context: Context) => Promise<Answer>;

/** A route that lets everybody in; who asks is its own business. */
export type PublicRoute = {
  name: string;
  path: string;
  of: "public";
  /** Whether a GET leaves a trace that others go by, so that no other site may make a browser send it. */
  isTraced?: boolean;
  methods: Partial<Record<Method, Endpoint>>;
};

/** A route that says whether the registry works, also where it has no credential configured. */
export type HealthRoute = {
  name: string;
  path: string;
  of: "health";
  isProbe?: boolean;
  methods: Partial<Record<Method, (context: Pick<Context, "registry" | "request">) => Promise<Answer>>>;
};

/** A route about the registry as a whole, for everybody who has a credential. */
export type RegistryRoute = {
  name: string;
  path: string;
  of: "registry";
  /** What a bearer token for it must have been asked for: to list repositories. */
  scope?: AccessEntry;
  methods: Partial<Record<Method, Endpoint>>;
};

/** A route about one repository; each method needs a verb on it. */
export type RepositoryRoute = {
  name: string;
  path: string;
  of: "repository";
  /**
   * Whether it is what is pushed and pulled. Who pushes asks first what is there already, so a HEAD of it needs no
   * more than a right to push; and who changes it with a password is noted.
   */
  isContent?: boolean;
  methods: Partial<Record<Method, RepositoryEndpoint>>;
};

/** What a method of a repository's route needs, and who answers. */
export type RepositoryEndpoint = {
  needs: Verb;
  /** Whether it stores something new, and so is refused where the disk is full. */
  stores?: true;
  answer: (context: RepositoryContext) => Promise<Answer>;
};

/**
 * A route of the management API; each method is open to some. `isProbe`: monitoring asks for it all day, so that its
 * lines may be left out of the log.
 */
export type ManagementRoute = {
  name: string;
  path: string;
  of: "management";
  isProbe?: boolean;
  methods: Partial<Record<Method, ManagementEndpoint>>;
};

/** Who may call a method of the management API, and who answers. `scraper`: who has the token for the metrics. */
export type ManagementEndpoint = { access: AccessRule | "scraper"; answer: Endpoint };

/** A route of any kind. */
export type Route = HealthRoute | PublicRoute | RegistryRoute | RepositoryRoute | ManagementRoute;
