/**
 * Faults in the stored bytes of digests.
 *
 * Bytes that are missing, or of another size or digest, are faulty at once. Bytes that could not be read may be in
 * order while the store is out of reach: they are faulty after three tries over an hour or more, during each of which
 * another key could be read. Faulty bytes are not leased, and the next push of the digest replaces them.
 */
import type { Digest } from "../../oci/reference.ts";
import type { BlobLocation } from "../../storage/replica.ts";
import type { DueRow } from "../due.ts";
import { canReadOthers, faultOf, faultOfSegment, inspect, segmentCount } from "../scrub/verify.ts";
import type { Tx } from "../sql.ts";
import type { ShardParts } from "./parts.ts";

/** The job of the `due` table that tries again to read a digest. */
export const readAgainJob = "read-again";

const readAgainMs = 30 * 60_000;
const triesNeeded = 3;
const spanNeededMs = 3_600_000;

/** How many bytes one run of the job reads. */
const bytesAtOnce = 256 * 1024 * 1024;

/**
 * Reads all bytes of a digest and records their fault, or if they are good, the hashes of their segments. Returns the
 * fault in words; `undefined` if there is none, or if the digest has other bytes by now. Never throws.
 */
export async function examine(shard: ShardParts, blob: BlobLocation): Promise<string | undefined> {
  try {
    const inspected = await inspect(shard.bucket, blob);
    return note(shard, blob, inspected.fault, (tx) => {
      if (inspected.fault === undefined && inspected.segments !== undefined)
        shard.store.setSegments(tx, blob.key, inspected.segments);
    });
  } catch (error) {
    return noteUnreadable(shard, blob, error);
  }
}

/**
 * Reads one segment of a digest's bytes, of which all before it are good, and records their fault, or with the last one
 * that there is none. Returns as {@link examine} does.
 */
export async function examineSegment(
  shard: ShardParts,
  blob: BlobLocation,
  segments: Uint8Array,
  index: number,
): Promise<string | undefined> {
  try {
    const fault = await faultOfSegment(shard.bucket, blob, segments, index);
    const isDecided = fault !== undefined || index === segmentCount(blob) - 1;
    return isDecided ? note(shard, blob, fault) : undefined;
  } catch (error) {
    return noteUnreadable(shard, blob, error);
  }
}

/** Records what reading found, and does what else there is to do if the digest has these bytes still. */
function note(
  shard: ShardParts,
  blob: BlobLocation,
  fault: string | undefined,
  andThen: (tx: Tx) => void = () => {},
): string | undefined {
  const { store, due, transaction } = shard;
  return transaction((tx) => {
    if (!isCurrent(shard, blob)) return undefined;
    store.setFault(tx, blob.digest, fault === undefined ? undefined : "wrong");
    store.clearReadFailures(tx, blob.key);
    due.clear(tx, readAgainJob, blob.digest);
    andThen(tx);
    return fault;
  });
}

async function noteUnreadable(
  shard: ShardParts,
  blob: BlobLocation,
  error: unknown,
): Promise<string | undefined> {
  const { store, bucket, due, clock, transaction } = shard;
  const isItsOwn = await canReadOthers(bucket, blob.key);
  return transaction((tx) => {
    if (!isCurrent(shard, blob)) return undefined;
    const now = clock.now();
    if (isItsOwn) store.addReadFailure(tx, blob.key, now);
    const failures = store.readFailures(blob.key);
    const isSure =
      failures !== undefined && failures.tries >= triesNeeded && now - failures.since >= spanNeededMs;
    if (isItsOwn && isSure) {
      store.setFault(tx, blob.digest, "unreadable");
      due.clear(tx, readAgainJob, blob.digest);
    } else if (store.fault(blob.digest) === undefined)
      due.set(tx, readAgainJob, blob.digest, now + readAgainMs);
    return `the bytes could not be read: ${String(error)}`;
  });
}

function isCurrent({ store }: ShardParts, blob: BlobLocation): boolean {
  return store.blob(blob.digest)?.key === blob.key;
}

/** Rereads digests that could not be read. Those that exceed the budget of one run are postponed. */
export async function readAgain(shard: ShardParts, rows: DueRow<Digest>[]): Promise<void> {
  let leftBytes = bytesAtOnce;
  for (const { id: digest } of rows) {
    const blob = shard.store.blob(digest);
    if (blob === undefined) shard.transaction((tx) => shard.due.clear(tx, readAgainJob, digest));
    else if (leftBytes > 0) await examine(shard, blob);
    leftBytes -= blob?.sizeBytes ?? 0;
  }
}

/**
 * Whether the bytes of a digest can be leased. Their size is checked, or all bytes if there was a doubt about them.
 */
export type Condition = "good" | "wrong" | "unreadable";

/** The condition of the bytes that a digest has. Never throws. */
export async function conditionOf(shard: ShardParts, blob: BlobLocation): Promise<Condition> {
  const { store, bucket } = shard;
  const isInDoubt = store.readFailures(blob.key) !== undefined;
  const known = store.fault(blob.digest);
  if (known !== undefined) return known;
  try {
    const isRight = isInDoubt
      ? (await faultOf(bucket, blob)) === undefined
      : (await bucket.sizeOf(blob.key)) === blob.sizeBytes;
    return isRight ? "good" : "wrong";
  } catch {
    return "unreadable";
  }
}
