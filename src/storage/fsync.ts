/** Access to the fsync service of the local server (local/fsync-service.ts). */
import type { Env } from "../bindings.ts";
import { secretHeader } from "../machine.ts";

/** Makes the files of blobs survive a power cut, lists them, and measures the volume that they are on. */
export type FsyncService = { fetch(url: string, init?: { method: string; body: string }): Promise<Response> };

/**
 * The fsync service of these bindings; `undefined` if blobs are in R2. If it listens on loopback, where every program
 * on the machine can reach it, each request carries the secret.
 */
export function openFsyncService({
  BLOB_FSYNC: service,
  CHANNEL_SECRET: secret,
}: Env): FsyncService | undefined {
  if (service === undefined || !secret) return service;
  return { fetch: (url, init) => service.fetch(url, { ...init, headers: { [secretHeader]: secret } }) };
}
