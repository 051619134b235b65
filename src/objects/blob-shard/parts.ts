/** The parts of a shard: its store, its due table, the bucket, and the settings. */

import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import { Tally } from "../../rpc/tally.ts";
import { type Settings, settingsOf } from "../../settings/settings.ts";
import type { Bucket } from "../../storage/bucket.ts";
import { openBucket } from "../../storage/open-bucket.ts";
import { DueTable } from "../due.ts";
import { type Tx, transaction } from "../sql.ts";
import { shardColumns, shardSchema, shardSchemaOnDisk } from "./schema.ts";
import { ShardStore } from "./store.ts";

/** The parts of a shard. */
export type ShardParts = {
  env: Env;
  clock: Clock;
  settings: Settings;
  bucket: Bucket;
  due: DueTable;
  store: ShardStore;
  /** When the first shard of the isolate was constructed. On one machine, no upload that began before is under way. */
  since: number;
  /** What collection has deleted here. */
  tally: Tally;
  /** Runs one transaction. */
  transaction: <T>(work: (tx: Tx) => T) => T;
};

/** An object that failed is constructed again in the same isolate, where uploads go on. */
let isolateSince: number | undefined;

/** Puts the parts of a shard together. This does not make its tables. */
export function makeShardParts(storage: DurableObjectStorage, env: Env, clock: Clock): ShardParts {
  isolateSince ??= clock.now();
  return {
    env,
    clock,
    settings: settingsOf(env),
    bucket: openBucket(env),
    due: new DueTable(storage, clock, shardColumns),
    store: new ShardStore(storage, env.BLOB_FILES === undefined ? shardSchema : shardSchemaOnDisk),
    since: isolateSince,
    tally: new Tally(),
    transaction: (work) => transaction(storage, work),
  };
}
