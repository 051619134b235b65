/**
 * The signed ids of upload sessions, which the client holds, so that opening a session stores nothing.
 *
 * The id is `<uuid>.<issued>.<flags>.<signature>`. The signature also covers repository and account, so that an id is
 * useless elsewhere. It is renewed with each answer, and is valid for `UPLOAD_TTL` from then.
 */

import type { DigestAlgorithm, RepositoryName } from "../oci/reference.ts";
import type { UploadSession } from "../rpc/upload-channel.ts";
import type { Registry } from "./registry.ts";

/** A session from an id whose signature was verified. */
export type NamedSession = UploadSession & {
  /** Whether the client has seen the upload accept bytes. */
  started: boolean;
};

const grammar =
  /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([0-9a-z]{1,10})\.([ab][sn])\.([A-Za-z0-9_-]{43})$/;

const keys = new WeakMap<Registry, CryptoKey>();

/** A new session. */
export function newSession(repository: RepositoryName, algorithm: DigestAlgorithm): NamedSession {
  return { id: crypto.randomUUID(), repository, algorithm, started: false };
}

/** The id for the client. This account may use it on this repository, for `UPLOAD_TTL` from now. */
export async function signSession(
  registry: Registry,
  session: NamedSession,
  account: string,
): Promise<string> {
  const issued = Math.floor(registry.clock.now() / 1000).toString(36);
  const flags = `${session.algorithm === "sha256" ? "a" : "b"}${session.started ? "s" : "n"}`;
  const claims = `${session.id}.${issued}.${flags}`;
  const message = messageOf(claims, session.repository, account);
  const signature = await crypto.subtle.sign("HMAC", await keyOf(registry), message);
  return `${claims}.${Buffer.from(signature).toString("base64url")}`;
}

/** The session of an id for this account and repository; `undefined` if the id is forged or has expired. */
export async function readSession(
  registry: Registry,
  text: string,
  repository: RepositoryName,
  account: string,
): Promise<NamedSession | undefined> {
  const match = grammar.exec(text);
  if (match === null) return undefined;
  const [, id = "", issued = "", flags = "", signature = ""] = match;
  const message = messageOf(`${id}.${issued}.${flags}`, repository, account);
  const key = await keyOf(registry);
  if (!(await crypto.subtle.verify("HMAC", key, Buffer.from(signature, "base64url"), message)))
    return undefined;
  const issuedAt = Number.parseInt(issued, 36) * 1000;
  if (registry.clock.now() > issuedAt + registry.settings.uploadTtlMs) return undefined;
  return { id, repository, algorithm: flags[0] === "a" ? "sha256" : "sha512", started: flags[1] === "s" };
}

function messageOf(claims: string, repository: RepositoryName, account: string): Uint8Array {
  return new TextEncoder().encode(`${claims}\n${repository}\n${account}`);
}

/** The signing key, cached in the isolate. Only the value is cached, as a promise belongs to its request. */
async function keyOf(registry: Registry): Promise<CryptoKey> {
  const known = keys.get(registry);
  if (known !== undefined) return known;
  const secret = await registry.sessionSecret();
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
  keys.set(registry, key);
  return key;
}
