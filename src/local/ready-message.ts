/** The message of the local server once it is ready: its address, and how to push to it. */
import { hostname } from "node:os";
import { version } from "../version.ts";
import { isLoopback } from "./flags.ts";

/** The address of the server. `name`: the name in its certificate, if there is exactly one. */
export type Served = { host: string; port: number; isTls: boolean; name?: string | undefined };

/** The URL of an address. */
export function urlOf({ host, port, isTls }: Served): string {
  return `${isTls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * A URL that clients can use. `0.0.0.0` and `::` stand for all addresses of the machine, and are not addresses: the
 * machine is reached by the certificate's name with TLS, and by loopback without, where clients accept that.
 */
export function usableUrl(served: Served): string {
  const isEverywhere = served.host === "0.0.0.0" || /^[0:]+$/.test(served.host);
  if (!isEverywhere) return urlOf(served);
  return urlOf({ ...served, host: served.isTls ? (served.name ?? hostname()) : "localhost" });
}

const plainWarning =
  "It speaks HTTP: other machines send passwords in the clear, and docker refuses to. --tls-cert and --tls-key change that.";

/** The line for a log in JSON. */
export function readyLine(served: Served): string {
  const line = { time: new Date().toISOString(), event: "ready", version, url: usableUrl(served) };
  return `${JSON.stringify(line)}\n`;
}

/** The lines for the terminal. `isOpen`: no password is needed. */
export function readyMessage(served: Served, isOpen: boolean): string {
  const url = usableUrl(served);
  const registry = new URL(url).host;
  const access = isOpen
    ? "It is open: everybody on this machine may push and pull. Set ADMIN_PASSWORD to change that."
    : `Log in with: docker login -u admin ${registry}`;
  return [
    `stowage ${version} is ready at ${url}`,
    ...(url === urlOf(served) ? [] : ["It listens on all addresses of this machine."]),
    ...(served.isTls || isLoopback(served.host) ? [] : [plainWarning]),
    access,
    "To push an image:",
    `  docker tag IMAGE ${registry}/IMAGE`,
    `  docker push ${registry}/IMAGE`,
    "",
  ].join("\n");
}
