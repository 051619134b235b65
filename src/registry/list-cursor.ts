/**
 * Where a page of repositories goes on if it ends in the middle of such as the caller may not see. The name itself would
 * reveal one of those, so it is encrypted: `~` and AES-256-GCM in base64url, of one length whatever the name. No name
 * begins with `~`.
 */
import { createHmac } from "node:crypto";
import type { Registry } from "./registry.ts";

const mark = "~";

/** The bytes of a name with its padding, and those before it. A name has at most 255 characters. */
const nameBytes = 256;
const nonceBytes = 12;

/** The cursor after a name. */
export async function sealName(registry: Pick<Registry, "sessionSecret">, name: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
  const padded = new TextEncoder().encode(name.padEnd(nameBytes, " "));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await keyOf(registry), padded);
  return mark + Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64url");
}

/** The name after which a page begins: `last` itself, unless it is such a cursor. `undefined`: it is none of ours. */
export async function nameAfter(
  registry: Pick<Registry, "sessionSecret">,
  last: string,
): Promise<string | undefined> {
  if (!last.startsWith(mark)) return last;
  const bytes = Buffer.from(last.slice(mark.length), "base64url");
  const [iv, sealed] = [bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes)];
  try {
    const padded = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await keyOf(registry), sealed);
    return new TextDecoder().decode(padded).trimEnd();
  } catch {
    return undefined;
  }
}

async function keyOf(registry: Pick<Registry, "sessionSecret">): Promise<CryptoKey> {
  const key = createHmac("sha256", await registry.sessionSecret())
    .update("list cursor")
    .digest();
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}
