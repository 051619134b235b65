/** Where a client is. */

/**
 * The address of the client: that of its socket, or what a trusted proxy says of it. Of a list the last entry counts,
 * which is the one that the proxy itself has added; those before it are what the client said.
 *
 * @param remoteAddress as sockets have it: an address of IPv4 may come as one of IPv6
 * @param forwardedFor the last `X-Forwarded-For`, where a proxy is trusted
 */
export function clientAddress(remoteAddress: string | undefined, forwardedFor: string | undefined): string {
  const said = forwardedFor?.slice(forwardedFor.lastIndexOf(",") + 1).trim();
  const address = said || remoteAddress || "unknown";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
