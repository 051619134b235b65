/** The address of a client. */

/**
 * The address of the client: that of its socket, or the one that a trusted proxy reports. The last entry of a list counts,
 * because the proxy itself has added it; the client may have sent those before it.
 *
 * @param remoteAddress as sockets have it: an address of IPv4 may come as one of IPv6
 * @param forwardedFor the last `X-Forwarded-For`, where a proxy is trusted
 */
export function clientAddress(remoteAddress: string | undefined, forwardedFor: string | undefined): string {
  const said = forwardedFor?.slice(forwardedFor.lastIndexOf(",") + 1).trim();
  const address = said || remoteAddress || "unknown";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
