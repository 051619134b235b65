/** Maps addresses of the proxy to those of the registry, and back. */

/** The addresses of one registry, as the proxy's clients see them. */
export class Addresses {
  readonly registry: URL;
  /** The path below which the registry is, with a slash at its end. */
  readonly #root: string;

  constructor(registry: URL) {
    this.registry = registry;
    this.#root = `${registry.pathname.replace(/\/+$/, "")}/`;
  }

  /** The registry's address for the target of a request to the proxy, as it stood in the request. */
  upstream(target: string): URL {
    const url = new URL(this.registry);
    const at = target.indexOf("?");
    url.pathname = `${this.#root}${(at < 0 ? target : target.slice(0, at)).replace(/^\/+/, "")}`;
    url.search = at < 0 ? "" : target.slice(at);
    return url;
  }

  /**
   * Whether an address of the registry is one of its API for images, `/v2/`, also for a server in front of it that
   * decodes slashes and follows dots.
   */
  isOfApi({ pathname }: URL): boolean {
    if (!`${pathname}/`.startsWith(`${this.#root}v2/`)) return false;
    const segments = pathname.split(/\/|%2f|%5c/i).map((segment) => segment.replace(/%2e/gi, "."));
    return !segments.includes(".") && !segments.includes("..");
  }

  /**
   * What a client of the proxy is told instead of an address that the registry gave, relative or whole. What is at
   * another host stays as it is.
   *
   * @param base the address of the request that was answered with it
   * @param own `http(s)://host[:port]`, as the client calls the proxy
   */
  downstream(given: string, base: URL, own: string): string {
    const url = URL.parse(given, base);
    if (url === null || !this.#isOwn(url)) return given;
    const path = url.pathname.startsWith(this.#root)
      ? url.pathname.slice(this.#root.length)
      : url.pathname.slice(1);
    return `${own}/${path}${url.search}`;
  }

  /** A server that terminates TLS for a registry often lets it write http, or no port. */
  #isOwn({ origin, hostname, protocol }: URL): boolean {
    if (origin === this.registry.origin) return true;
    return hostname === this.registry.hostname && protocol === "http:" && this.registry.protocol === "https:";
  }
}
