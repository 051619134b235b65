/** What the local server says once it is ready: where it is, and how to push to it from there. */
import { hostname } from "node:os";

/** Where the server listens. */
export type Served = { host: string; port: number; isTls: boolean };

/** The URL of an address. */
export function urlOf({ host, port, isTls }: Served): string {
  return `${isTls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * A URL that clients can use. `0.0.0.0` and `::` stand for all addresses of the machine, and are none themselves: the
 * machine is reached by its name with TLS, as certificates are for names, and by loopback without, where clients
 * accept that.
 */
export function usableUrl(served: Served): string {
  const isEverywhere = served.host === "0.0.0.0" || /^[0:]+$/.test(served.host);
  if (!isEverywhere) return urlOf(served);
  return urlOf({ ...served, host: served.isTls ? hostname() : "localhost" });
}

/** The lines for the terminal. `isOpen`: nobody needs a password. */
export function readyMessage(served: Served, isOpen: boolean): string {
  const url = usableUrl(served);
  const registry = new URL(url).host;
  const access = isOpen
    ? "It is open: everybody on this machine may push and pull. Set ADMIN_PASSWORD to change that."
    : `Log in with: docker login -u admin ${registry}`;
  return [
    `stowage is ready at ${url}`,
    ...(url === urlOf(served) ? [] : ["It listens on all addresses of this machine."]),
    access,
    "To push an image:",
    `  docker tag IMAGE ${registry}/IMAGE`,
    `  docker push ${registry}/IMAGE`,
    "",
  ].join("\n");
}
