/** The routes of the management API, as the contract declares them. */
import { contract } from "../../contract/contract.ts";
import { apiRoot, type Endpoint, methods, type Operation } from "../../contract/operation.ts";
import type { ManagementEndpoint, ManagementRoute } from "../route.ts";
import { handlers } from "./handlers.ts";
import { type AnyHandler, perform } from "./perform.ts";

type AnyHandlers = Record<string, Record<string, Record<string, AnyHandler>>>;

// The type of `handlers` matches each handler with its operation. Iterating loses that type.
const found = handlers as unknown as AnyHandlers;

/**
 * A route for each endpoint. {@link perform} calls its handlers after ../dispatch.ts has authorised the caller.
 *
 * Longer paths come first, so that the name of a repository, which has slashes, is the shortest that a request can mean.
 */
export const operationRoutes: ManagementRoute[] = Object.entries(contract)
  .flatMap(([resource, endpoints]) =>
    Object.entries<Endpoint>(endpoints).map(([path, endpoint]) => routeOf(resource, path, endpoint)),
  )
  .toSorted((one, other) => segmentsOf(other) - segmentsOf(one));

function segmentsOf({ path }: ManagementRoute): number {
  return path.split("/").length;
}

function routeOf(resource: string, path: string, endpoint: Endpoint): ManagementRoute {
  const endpoints = methods.flatMap((method) => {
    const operation = endpoint[method];
    const handler = found[resource]?.[path]?.[method];
    if (operation === undefined || handler === undefined) return [];
    return [[method, endpointOf(operation, handler)] as const];
  });
  return {
    name: endpoint.name,
    path: patternOf(path),
    of: "management",
    methods: Object.fromEntries(endpoints),
  };
}

function endpointOf(operation: Operation, handler: AnyHandler): ManagementEndpoint {
  return { access: operation.access, answer: (context) => perform(context, operation, handler) };
}

/** A path as the router has it. The name of a repository has slashes. */
function patternOf(path: string): string {
  return apiRoot + path.replace("{name}", ":name+").replace(/\{(\w+)\}/g, ":$1");
}
