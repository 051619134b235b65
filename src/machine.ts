import type { Env } from "./bindings.ts";
import { SettingError } from "./settings/settings.ts";

/**
 * How the registry's work is divided between objects. On the platform that is fixed. On one machine all objects share a
 * thread and a disk: few of them do the same with fewer files to sync. The local server says how many, as a data
 * directory keeps the number of shards that it began with.
 */
export type Machine = {
  /** How many shards decide about digests: a power of two, so that each has as many first bytes. */
  blobShards: number;
  /** How many objects keep the upload sessions; 0: each session has its own. */
  uploadPools: number;
  /** How many objects the index of names is divided between. */
  nameIndexes: number;
};

/** The most shards: one for each first byte of a digest. */
export const maxBlobShards = 256;

const maxUploadPools = 64;

/** How many objects have the index of names on the platform. */
const platformNameIndexes = 16;

/** Whether digests can be divided between so many shards. */
export function isShardCount(count: unknown): count is number {
  return Number.isInteger(count) && Number(count) >= 1 && maxBlobShards % Number(count) === 0;
}

/**
 * Reads what the local server says; where it says nothing, the division is that of the platform.
 *
 * @throws SettingError for anything but what it says: with another number of shards, nothing would be found.
 */
export function parseMachine({ MACHINE: text }: Pick<Env, "MACHINE">): Machine {
  if (text === undefined)
    return { blobShards: maxBlobShards, uploadPools: 0, nameIndexes: platformNameIndexes };
  const { blobShards, uploadPools, nameIndexes, ...others } = parseObject(text);
  const isKnown =
    isShardCount(blobShards) &&
    isWithin(uploadPools, 0, maxUploadPools) &&
    isWithin(nameIndexes, 1, platformNameIndexes);
  if (isKnown && Object.keys(others).length === 0) return { blobShards, uploadPools, nameIndexes };
  throw new SettingError("MACHINE", `MACHINE is ${JSON.stringify(text)}, which no local server says`);
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/**
 * In which a request says the secret of the start, where the local server and workerd have to talk over loopback
 * (local/channels.ts).
 */
export const secretHeader = "Stowage-Channel-Secret";

/**
 * In which the reverse proxy says in a request that it sends files itself; and the Worker in its answer, that the body is
 * a list of files (`FileRange` of storage/disk-files.ts), and how many bytes of them the client is to get. nginx calls
 * this `X-Accel-Redirect`, others `X-Sendfile`. Neither clients nor upstreams can send it: the reverse proxy drops
 * it from requests, and the Worker copies no header of an upstream's.
 */
export const filesHeader = "Stowage-Files";
