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

/** A route that tells what the registry is and whether it works, even where nobody can be let in. */
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

/** What there is for a method among those of a route; GET also answers HEAD. */
export function methodOf<E>(methods: Partial<Record<string, E>>, method: string): E | undefined {
  const name = method === "HEAD" ? "GET" : method;
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/**
 * Whether a request reads what anybody may make it read. What the management API shows, a browser would fetch with a
 * password that it knows.
 */
export function isRead(route: Route | undefined, method: string): boolean {
  const isTraced = route?.of === "management" || (route?.of === "public" && route.isTraced === true);
  return !isTraced && (method === "GET" || method === "HEAD" || method === "OPTIONS");
}

/** Whether monitoring asks for it all day. */
export function isProbe(route: Route | undefined): boolean {
  return route !== undefined && "isProbe" in route && route.isProbe === true;
}

export type Route = HealthRoute | PublicRoute | RegistryRoute | RepositoryRoute | ManagementRoute;
