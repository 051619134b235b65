/** What all requests of a reverse proxy share. */
import type { ProxyLimits } from "./limits.ts";
import type { Upstream } from "./upstream.ts";

/** Shared by all requests of a reverse proxy. */
export interface ProxyContext {
  upstream: Upstream;
  limits: ProxyLimits;
  trustForwarded: boolean;
  /** The folder of the files that answers may name; `undefined` if they may name none. */
  files: string | undefined;
  /** The secret that shows workerd that a request is from here; `undefined` if no other program can send one. */
  secret: string | undefined;
  /** Whether clients are to close their connections. */
  isStopping: boolean;
}
