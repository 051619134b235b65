/**
 * The world of one program: two locations and the objects behind them, with stores and calls that go wrong on
 * command, on a clock that only the program moves. Worlds share nothing but who listens to events.
 */

import type { Env } from "../../../src/bindings.ts";
import type { Clock } from "../../../src/clock.ts";
import type { Machine } from "../../../src/machine.ts";
import { type ManifestContent, makeManifests } from "./contents.ts";
import { FaultTable } from "./fault-table.ts";
import { LaggingKv } from "./lagging-kv.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { MemoryUpstream, tagTtlMs, upstreamId, upstreamUrl } from "./memory-upstream.ts";
import { WorldObjects } from "./objects.ts";
import type { LocationIndex, Program } from "./program.ts";

/** So far ahead that the runtime itself never finds an alarm due: only the harness runs them. */
let virtualNow = Date.UTC(2100, 0, 1);

Date.now = () => virtualNow;

/** Moves the clock forward. */
export function advanceClock(milliseconds: number): void {
  virtualNow += milliseconds;
}

/** The password of the account `admin` in every world. */
export const adminPassword = "the password of every world";

let worldCount = 0;

export class World {
  readonly trace: string[] = [];
  readonly faults = new FaultTable((line) => this.trace.push(line), advanceClock);
  readonly kv = new LaggingKv(this.faults);
  readonly bucket = new MemoryBucket(this.faults);
  readonly objects: WorldObjects;
  /** The manifests of the program. */
  readonly manifests: ManifestContent[];
  readonly upstream: MemoryUpstream;
  /** The bindings as the objects have them. */
  readonly objectEnv: Env;
  /** What ledgers go by: clocks differ. */
  readonly ledgerClock: Clock = { now: () => virtualNow - this.ledgersBehindSeconds * 1000 };
  ledgersBehindSeconds: number;
  readonly #locations: [Env, Env];
  readonly #bindings: Omit<Env, "MANIFESTS">;
  readonly #hasReplica: boolean;

  constructor(env: Env, { settings, manifests }: Program) {
    this.manifests = makeManifests(manifests);
    this.upstream = new MemoryUpstream(this.manifests, (line) => this.trace.push(line));
    this.ledgersBehindSeconds = settings.ledgersBehindSeconds;
    this.objects = new WorldObjects(this.faults, `world-${++worldCount}`, env);
    // Two shards: digests meet in them, and their batches, as in a registry with many.
    const machine: Machine = { blobShards: 2, uploadPools: settings.isOneMachine ? 2 : 0, nameIndexes: 2 };
    this.#hasReplica = !settings.isOneMachine;
    this.#bindings = {
      MACHINE: JSON.stringify(machine),
      BLOBS: this.bucket.binding(),
      LEDGERS: this.objects.namespace("LEDGERS") as Env["LEDGERS"],
      UPLOADS: this.objects.namespace("UPLOADS") as Env["UPLOADS"],
      BLOB_SHARDS: this.objects.namespace("BLOB_SHARDS") as Env["BLOB_SHARDS"],
      CATALOG: this.objects.namespace("CATALOG") as Env["CATALOG"],
      NAME_INDEX: this.objects.namespace("NAME_INDEX") as Env["NAME_INDEX"],
      // Nobody listens: events go to what all worlds share, and end there.
      WEBHOOKS: env.WEBHOOKS,
      WEBHOOK_QUEUES: env.WEBHOOK_QUEUES,
      FETCHES: this.objects.namespace("FETCHES") as Env["FETCHES"],
      UPSTREAM_STATES: this.objects.namespace("UPSTREAM_STATES") as Env["UPSTREAM_STATES"],
      // The network of the public, which has nothing but an upstream.
      WEBHOOK_OUTBOUND: { fetch: this.upstream.fetch } as unknown as Fetcher,
      UPSTREAMS: JSON.stringify([
        {
          id: upstreamId,
          url: upstreamUrl,
          repositories: ["**"],
          tagTtl: `${tagTtlMs / 1000}s`,
          maxConcurrent: 64,
        },
      ]),
      UPSTREAM_TIMEOUT: "200ms",
      ADMIN_PASSWORD: adminPassword,
      TOKEN_TTL: "1h",
      UPLOAD_TTL: "1h",
      // Small enough for small blobs to have several; harness.ts lowers the least that is accepted.
      UPLOAD_PART_SIZE: "48KiB",
      GC_GRACE: `${settings.graceSeconds}s`,
      DELETE_DELAY: `${settings.deleteDelaySeconds}s`,
      TOMBSTONE_TTL: "10m",
      RETENTION_EVERY: "15m",
      ...(settings.scrubsItself ? { SCRUB_EVERY: "1h" } : {}),
      LOG_FORMAT: "none",
    };
    // Objects live at a location, too.
    this.objectEnv = { ...this.#bindings, ...this.#replica(0) };
    this.#locations = [this.#newLocation(0), this.#newLocation(1)];
  }

  /** The bindings as a location has them. What its isolate remembers hangs on them. */
  env(location: LocationIndex): Env {
    return this.#locations[location];
  }

  /** Gives a location a new isolate. */
  restart(location: LocationIndex): void {
    this.#locations[location] = this.#newLocation(location);
  }

  #newLocation(location: LocationIndex): Env {
    return { ...this.#bindings, ...this.#replica(location) };
  }

  #replica(location: LocationIndex): Pick<Env, "MANIFESTS"> {
    return this.#hasReplica ? { MANIFESTS: this.kv.binding(location) } : {};
  }
}
