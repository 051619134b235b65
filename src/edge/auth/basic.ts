/** The `Authorization` header, and Basic credentials. Source: RFC 9110, section 11.6.2; RFC 7617. */

/** The scheme, in lower case, and what follows it; `undefined` unless there are just these two. */
export function parseAuthorization(header: string): { scheme: string; value: string } | undefined {
  const [scheme, value, ...more] = header.trim().split(/[ \t]+/);
  if (scheme === undefined || value === undefined || more.length > 0) return undefined;
  return { scheme: scheme.toLowerCase(), value };
}

/** A user name and a password. */
export type Credentials = { name: string; password: string };

const maxLength = 16 * 1024;

/**
 * Reads what follows `Basic`; `undefined` when it is not base64 of UTF-8 with a colon in it. The password may contain
 * colons, the name may not. A token of another issuer, shown as password, may be several kilobytes long.
 */
export function parseBasic(value: string): Credentials | undefined {
  if (value.length > maxLength || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(value, "base64"),
    );
    const colon = text.indexOf(":");
    return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return undefined;
  }
}
