/**
 * Assembles the features of a ledger.
 */
import type { Env } from "../../bindings.ts";
import type { Clock } from "../../clock.ts";
import type { RepositoryName } from "../../oci/reference.ts";
import { webhooksStub } from "../../rpc/stubs.ts";
import { Tally } from "../../rpc/tally.ts";
import { settingsOf } from "../../settings/settings.ts";
import { openReplica } from "../../storage/replica.ts";
import { type DueColumn, DueTable } from "../due.ts";
import { applySchema } from "../schema.ts";
import type { Tx } from "../sql.ts";
import { BacklogReports } from "./backlog.ts";
import { Blobs } from "./blobs.ts";
import { CachedContent } from "./cache.ts";
import { DeletedManifests } from "./deleted-manifests.ts";
import { EventLog } from "./events.ts";
import { Explanations } from "./explanations.ts";
import { Facts } from "./facts.ts";
import { columnsOf, type Feature, type LedgerHost, schemaOf } from "./feature.ts";
import { Generations } from "./generations.ts";
import { GuardedChanges } from "./guarded.ts";
import { HeldTags } from "./held-tags.ts";
import { VoidLeases } from "./leases.ts";
import { Manifests } from "./manifests.ts";
import { Outbox } from "./outbox.ts";
import { Policies } from "./policies.ts";
import { Readme } from "./readme.ts";
import { Rebuilding } from "./rebuild.ts";
import { Registration } from "./registration.ts";
import { RepositoryRecord } from "./repository.ts";
import { Rereading } from "./reread.ts";
import { Restoring } from "./restoring.ts";
import { Retention } from "./retention.ts";
import { RetentionRuns } from "./retention-runs.ts";
import { LedgerScrub } from "./scrub.ts";
import { SearchAnnouncements } from "./search.ts";
import { ClosedSessions } from "./sessions.ts";
import { Tags } from "./tags.ts";
import { Unlinking } from "./unlinking.ts";
import { Untagged } from "./untagged.ts";
import { Uses } from "./uses.ts";

/** The features of a ledger by name; `features`: all of them, in the order in which their jobs run. */
export type LedgerParts = ReturnType<typeof makeParts>;

/** Creates the features of a ledger. Creating them reads and writes no table. */
export function makeParts(storage: DurableObjectStorage, env: Env, clock: Clock) {
  const settings = settingsOf(env);
  const columns: Record<string, DueColumn> = {};
  const host: LedgerHost = {
    env,
    storage,
    sql: storage.sql,
    clock,
    settings,
    due: new DueTable(storage, clock, columns),
    replica: openReplica(env),
    tally: new Tally(),
    name: () => repository.name(),
    isSparse: () => settings.sparseManifests === "accept" || isCache(),
    revision: { value: 0 },
    changes: { value: 0 },
    announceSoon: () => {},
  };
  const events = new EventLog(host, () => webhooksStub(env));
  const repository = new RepositoryRecord(host, events);
  const isCache = () => repository.meta?.kind === "cache";
  const policies = new Policies(host, isCache);
  const registration = new Registration(host, repository);
  const outbox = new Outbox(host);
  const untagged = new Untagged(host, policies, repository);
  const blobs = new Blobs(host, outbox, events);
  const tags = new Tags(host, outbox, events, untagged);
  const manifests = new Manifests(host, { blobs, tags, outbox, events, untagged });
  const facts = new Facts(host, manifests);
  const uses = new Uses(host, repository);
  const rereading = new Rereading(host, manifests, blobs, outbox);
  const held = new HeldTags(host, tags);
  const shared = { policies, manifests, rereading, tags, held, blobs, untagged, outbox, events };
  const deleted = new DeletedManifests(host, shared);
  const cache = new CachedContent(host, { repository, manifests, tags, blobs, events, deleted });
  const runs = new RetentionRuns(host);
  const readme = new Readme();
  const exists = () => repository.meta?.isFounded === true;
  const retention = new Retention(host, { ...shared, runs, exists });
  const explanations = new Explanations(host, retention);
  const guarded = new GuardedChanges({ ...shared, deleted });
  const unlinking = new Unlinking(host, blobs, outbox, events);
  const sessions = new ClosedSessions(host);
  const leases = new VoidLeases(host);
  const scrub = new LedgerScrub(host, { ...shared, registration });
  const rebuilding = new Rebuilding(host, outbox);
  const search = new SearchAnnouncements(host, repository);
  host.announceSoon = (tx, isWhole) => {
    host.changes.value++;
    if (isWhole === true) search.wholly(tx);
    else search.soon(tx);
  };
  const generations = new Generations(host, { ...shared, repository, unlinking }, () => features);
  const restoring = new Restoring(host, { ...shared, repository, generations }, () => features);
  const backlog = new BacklogReports(host, { outbox, events });
  const features: Feature[] = [
    outbox,
    repository,
    policies,
    registration,
    manifests,
    facts,
    rereading,
    untagged,
    deleted,
    blobs,
    // They release blobs, which the next feature does.
    generations,
    restoring,
    unlinking,
    sessions,
    leases,
    tags,
    // It makes manifests untagged, and blobs unreferenced, later.
    retention,
    runs,
    held,
    readme,
    uses,
    cache,
    scrub,
    rebuilding,
    events,
    search,
    // After the features that it reports on.
    backlog,
  ];
  Object.assign(columns, columnsOf(features));
  return {
    ...host,
    ...shared,
    repository,
    registration,
    facts,
    uses,
    cache,
    deleted,
    guarded,
    retention,
    explanations,
    runs,
    readme,
    generations,
    restoring,
    unlinking,
    sessions,
    leases,
    search,
    scrub,
    rebuilding,
    features,
  };
}

/** Creates the tables of a ledger, and stores the name of its repository: an object does not know its own name. */
export function createLedger(
  tx: Tx,
  { features, repository, tags }: LedgerParts,
  name: RepositoryName,
): void {
  applySchema(tx, schemaOf(features));
  tags.beginSequence(tx);
  repository.write(tx, "name", name);
}
