/**
 * What a ledger is made of: its stores, its outbox, what it does later, and the settings that they go by.
 */

import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import { parseSettings, type Settings } from "../../settings/settings.ts";
import { openReplica, type Replica } from "../../storage/replica.ts";
import { DueTable } from "../due.ts";
import type { TransactionalStorage } from "../sql.ts";
import { webhooksStub } from "../stubs.ts";
import { Tally } from "../tally.ts";
import { BlobLinkStore, unlinkColumn, unlinkJob } from "./blob-link-store.ts";
import { EventLog } from "./events.ts";
import { VoidLeaseStore } from "./leases.ts";
import { ManifestStore } from "./manifest-store.ts";
import { batchColumn, lostBatchJob, Outbox } from "./outbox.ts";
import { Promises } from "./promises.ts";
import { ReplicaWriter } from "./replica-writer.ts";
import { TagStore } from "./tag-store.ts";
import { TrashStore } from "./trash-store.ts";

/** The parts of a ledger. */
export type LedgerParts = {
  storage: TransactionalStorage;
  sql: SqlStorage;
  clock: Clock;
  settings: Settings;
  due: DueTable;
  /** `undefined` on one machine. */
  replica: Replica | undefined;
  outbox: Outbox;
  writer: ReplicaWriter;
  events: EventLog;
  blobs: BlobLinkStore;
  manifests: ManifestStore;
  trash: TrashStore;
  tags: TagStore;
  leases: VoidLeaseStore;
  /** What collection has taken away here. */
  tally: Tally;
  promises: Promises;
  /** How long what nothing references is kept. */
  graceMs: number;
  /** How long who was told that a blob is there may rely on it, also where an administrator ends all grace. */
  promiseMs: number;
};

/** Puts the parts of a ledger together. They touch no table before they are asked. */
export function makeParts(storage: DurableObjectStorage, env: Env, clock: Clock): LedgerParts {
  const { sql } = storage;
  const settings = parseSettings(env);
  const due = new DueTable(storage, clock, { [unlinkJob]: unlinkColumn, [lostBatchJob]: batchColumn });
  const replica = openReplica(env);
  const stores = {
    blobs: new BlobLinkStore(sql),
    manifests: new ManifestStore(sql),
    trash: new TrashStore(sql),
    tags: new TagStore(sql),
    leases: new VoidLeaseStore(sql),
  };
  const outbox = new Outbox(sql, due, clock, replica !== undefined, settings.replicaRepeatMs);
  const writer = new ReplicaWriter({ storage, clock, due, replica, outbox, ...stores });
  const events = new EventLog(storage, due, clock, () => webhooksStub(env));
  const graceMs = settings.gcGraceMs;
  // A push takes longer than the lease of one of its blobs.
  const promiseMs = 5 * settings.leaseMs;
  const promises = new Promises(clock, { openMs: promiseMs, leastMs: settings.leaseMs });
  const memory = { promises, tally: new Tally() };
  return {
    storage,
    sql,
    clock,
    settings,
    due,
    replica,
    outbox,
    writer,
    events,
    ...stores,
    ...memory,
    graceMs,
    promiseMs,
  };
}
