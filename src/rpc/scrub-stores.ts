/**
 * The parts of a scrub that start from the stores: they find orphaned objects in the bucket and orphaned rows of the
 * replica.
 */

import type { Settings } from "../settings/settings.ts";
import type { Bucket } from "../storage/bucket.ts";
import { uploadOfKey } from "../storage/keys.ts";
import type { Replica } from "../storage/replica.ts";
import { emptyReport, type ScrubReport, type ScrubStep } from "./scrub-report.ts";
import {
  listShards,
  namedShardStub,
  type ObjectBindings,
  repositoryStub,
  shardNames,
  uploadStub,
} from "./stubs.ts";
import { logDeletion } from "./tally.ts";

/** What is compared: the bucket and the replica with the objects. */
export type Stores = {
  objects: ObjectBindings;
  bucket: Bucket;
  replica: Replica | undefined;
  settings: Pick<Settings, "gcGraceMs">;
};

const keysAStep = 500;
const objectsAtOnce = 16;

/**
 * Checks a page of the bucket's keys. A key is deleted if it is older than the grace and no shard or open upload knows
 * it; not if one of them cannot be asked. Uploads are asked before shards, as keys pass from uploads to shards. Keys are
 * never reused, so a key that is unknown now stays unknown.
 */
export async function scrubBucket(
  { objects, bucket, settings }: Stores,
  cursor: string,
  now: number,
): Promise<ScrubStep> {
  const report = emptyReport();
  const page = await bucket.list(cursor === "" ? undefined : cursor, keysAStep);
  report.checked.keys += page.objects.length;
  const oldest = now - settings.gcGraceMs;
  const old = page.objects.filter((object) => object.storedAtMs <= oldest).map((object) => object.key);
  let unknown = await notOfUploads(objects, old, report);
  // Listed shards come first, as they know nearly all keys. But before bytes are deleted, every shard is asked.
  const listed = unknown.length === 0 ? [] : await listShards(objects);
  const shards = [...new Set([...listed, ...shardNames(objects)])];
  for (let start = 0; start < shards.length && unknown.length > 0; start += objectsAtOnce) {
    const names = shards.slice(start, start + objectsAtOnce);
    const asked = unknown;
    const answers = await Promise.all(names.map((name) => unknownOf(objects, name, asked, report)));
    unknown = asked.filter((key) => answers.every((answer) => answer.includes(key)));
  }
  if (unknown.length > 0) await bucket.delete(unknown);
  for (const key of unknown) {
    logDeletion({ what: "blob bytes", reason: "no shard and no upload knows the key", key });
    report.repaired.push({
      what: "orphaned object",
      key,
      detail: "deleted: no shard and no upload knows it",
    });
  }
  return { report, next: page.cursor };
}

/** The keys that a shard does not know. A shard that cannot be asked may know all of them. */
async function unknownOf(
  objects: ObjectBindings,
  shard: string,
  keys: string[],
  report: ScrubReport,
): Promise<string[]> {
  return namedShardStub(objects, shard)
    .unknownKeys(keys)
    .catch((error) => {
      report.unchecked.push({ what: `shard ${shard}`, detail: `${keys.length} keys: ${error}` });
      return [];
    });
}

/** The keys that no upload owns. Keys of an upload that cannot be asked are left out. */
async function notOfUploads(objects: ObjectBindings, keys: string[], report: ScrubReport): Promise<string[]> {
  const unknown: string[] = [];
  for (let start = 0; start < keys.length; start += objectsAtOnce) {
    const group = keys.slice(start, start + objectsAtOnce);
    const answers = await Promise.all(
      group.map(async (key) => {
        const upload = uploadOfKey(key);
        if (upload === undefined) return false;
        return uploadStub(objects, upload)
          .ownsKey(key)
          .catch((error) => {
            report.unchecked.push({ what: "key", key, detail: String(error) });
            return true;
          });
      }),
    );
    unknown.push(...group.filter((_, index) => answers[index] !== true));
  }
  return unknown;
}

/** Checks a page of the replica's rows, if there is a replica: the ledgers remove rows that they do not know. */
export async function scrubReplica(
  { objects, replica }: Pick<Stores, "objects" | "replica">,
  cursor: string,
): Promise<ScrubStep> {
  const report = emptyReport();
  const page = await replica?.list(cursor === "" ? undefined : cursor);
  if (page === undefined) return { report, next: undefined };
  report.checked.keys += page.rows.length;
  for (const [repository, rows] of Map.groupBy(page.rows, (row) => row.repository)) {
    const keys = rows.map((row) => row.key);
    try {
      for (const { kind, ...id } of await repositoryStub(objects, repository).dropOrphanedRows(
        repository,
        keys,
      )) {
        report.repaired.push({ what: `orphaned replica of ${kind}`, repository, ...id });
      }
    } catch (error) {
      report.unchecked.push({ what: "replica", repository, detail: String(error) });
    }
  }
  return { report, next: page.cursor };
}

const inReplica = "replica ";

/** The next piece of both parts, first one and then the other, for an object's own scrub; `""`: the first piece. */
export async function scrubStores(stores: Stores, after: string, now: number): Promise<ScrubStep> {
  if (!after.startsWith(inReplica)) {
    const step = await scrubBucket(stores, after, now);
    return { ...step, next: step.next ?? inReplica };
  }
  const step = await scrubReplica(stores, after.slice(inReplica.length));
  return { ...step, next: step.next && `${inReplica}${step.next}` };
}
