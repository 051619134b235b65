/** The way to the local server, which does what workerd's disk service does not (local/disk-service.ts). */
import type { Env } from "../env.ts";
import { secretHeader } from "../machine.ts";

/** Answers requests about the disk of one machine. */
export type Keeper = { fetch(url: string, init?: { method: string; body: string }): Promise<Response> };

/** The keeper of these bindings; `undefined` where blobs are in R2. Where it listens for everybody, it is told the secret. */
export function openKeeper({ BLOB_KEEPER: keeper, CHANNEL_SECRET: secret }: Env): Keeper | undefined {
  if (keeper === undefined || !secret) return keeper;
  return { fetch: (url, init) => keeper.fetch(url, { ...init, headers: { [secretHeader]: secret } }) };
}
