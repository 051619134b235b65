/**
 * The audit log: who did what or was refused, and from which address. Each entry is a line in the log and a row in the
 * catalog, which keeps the latest. Entries never contain a secret.
 */

import { cut, log } from "../../log.ts";
import type { AuditKind } from "../../oci/audit.ts";
import type { Registry } from "../../registry/registry.ts";
import type { WaitUntil } from "../../registry/shared-calls.ts";
import type { AuditEntry, NewAuditEntry } from "../../rpc/api.ts";
import type { Access, Context } from "../context.ts";

/** What happened; the rest of the entry comes from the request. `kind` overrides the one derived from the outcome. */
export type AuditEvent = Pick<AuditEntry, "action" | "target" | "outcome"> & {
  actor?: string;
  detail?: string;
  kind?: AuditKind;
};

/** How long the fields of an entry may be, in characters: clients choose some of them. */
const maxLengths = { actor: 600, action: 100, target: 400, detail: 1000 } as const;

/** Writes entries. The answer does not wait for them, and never fails because of them. */
export function audit(
  context: Pick<Context, "registry" | "access" | "address" | "requestId" | "waitUntil">,
  ...events: AuditEvent[]
): void {
  if (events.length === 0) return;
  const { registry, access, address, requestId, waitUntil } = context;
  const time = new Date(registry.clock.now()).toISOString();
  const entries = events.map(({ outcome, kind = kindOf(access, outcome), ...event }): NewAuditEntry => {
    return { kind, ...cutFields({ time, actor: access.account, address, requestId, outcome, ...event }) };
  });
  for (const { kind: _, ...entry } of entries) log("info", "audit", entry);
  auditQueueOf(registry).add(entries, waitUntil);
}

/** A refused or failed request is a `refusal`; the others are divided by whether an administrator made them. */
function kindOf(access: Access, outcome: AuditEntry["outcome"]): AuditKind {
  if (outcome === "denied" || outcome === "failed") return "refusal";
  return access.isAdministrator ? "administration" : "use";
}

function cutFields(entry: AuditEntry): AuditEntry {
  const { actor, action, target, detail } = entry;
  return {
    ...entry,
    actor: cut(actor, maxLengths.actor),
    action: cut(action, maxLengths.action),
    target: cut(target, maxLengths.target),
    ...(detail === undefined ? {} : { detail: cut(detail, maxLengths.detail) }),
  };
}

const queues = new WeakMap<Registry, AuditQueue>();

/** The queue of entries of this isolate. */
export function auditQueueOf(registry: Registry): AuditQueue {
  const known = queues.get(registry) ?? new AuditQueue(registry);
  queues.set(registry, known);
  return known;
}

/** The time between two calls to the catalog while there are more refusals to write, in milliseconds. */
const pauseMs = 100;

/**
 * How many refusals are queued at most, a quarter of them of one actor. More are only counted, in one entry per actor.
 */
const maxQueued = 200;

/**
 * After this time another request writes the queue: the one that did may have ended with its client. In milliseconds.
 */
const writerTimeoutMs = 10_000;

/** Where entries are written. `space` is the free disk space, if it is watched. */
type AuditStore = Pick<Registry, "catalog" | "clock"> & Partial<Pick<Registry, "space">>;

/** The entry that counts refusals beyond those that are listed. */
const others = { action: "refused", target: "*", detail: "more than are listed" } as const;

/**
 * The queue of an isolate's entries for the catalog. Completed actions are written at once. A caller can cause any
 * number of refusals, so equal ones are counted, and written a few times a second.
 */
export class AuditQueue {
  readonly #store: AuditStore;
  readonly #wait: (milliseconds: number) => Promise<unknown>;
  #queued = new Map<string, NewAuditEntry>();
  #writingUntil = 0;

  constructor(store: AuditStore, wait = (milliseconds: number) => scheduler.wait(milliseconds)) {
    this.#store = store;
    this.#wait = wait;
  }

  /** Adds entries. If refusals were written a moment ago, further ones are written after a pause. */
  add(entries: readonly NewAuditEntry[], waitUntil: WaitUntil): void {
    const done = entries.filter(({ kind }) => kind !== "refusal");
    for (const entry of entries) if (entry.kind === "refusal") this.#queue(entry);
    if (done.length > 0) waitUntil(this.#write(done));
    else if (this.#writingUntil <= this.#store.clock.now()) waitUntil(this.#writeQueued());
  }

  /** Writes the queue now. */
  flush(): Promise<void> {
    return this.#write([]);
  }

  /** Writes the queued entries, which are older, and then these. */
  async #write(entries: readonly NewAuditEntry[]): Promise<void> {
    const all = [...this.#queued.values(), ...entries];
    this.#queued = new Map();
    if (all.length === 0) return;
    const { space } = this.#store;
    // When even the reserve of the disk runs out, most entries are in the log only.
    const isDire = space !== undefined && (await space.isDire());
    const kept = isDire ? all.filter(({ kind }) => kind === "administration") : all;
    if (kept.length === 0) return;
    await this.#store
      .catalog()
      .audit(kept)
      .catch(() => {});
  }

  #queue(entry: NewAuditEntry): void {
    if (this.#count(entry)) return;
    const ofActor = [...this.#queued.values()].filter(({ actor }) => actor === entry.actor).length;
    const isTooMuch = this.#queued.size >= maxQueued || ofActor >= maxQueued / 4;
    const queued = isTooMuch ? { ...entry, ...others } : entry;
    if (!this.#count(queued)) this.#queued.set(keyOf(queued), { ...queued });
  }

  /** Counts an entry that is queued already. */
  #count(entry: NewAuditEntry): boolean {
    const known = this.#queued.get(keyOf(entry));
    if (known !== undefined) known.times = (known.times ?? 1) + 1;
    return known !== undefined;
  }

  async #writeQueued(): Promise<void> {
    do {
      this.#writingUntil = this.#store.clock.now() + writerTimeoutMs;
      await this.flush();
      await this.#wait(pauseMs);
    } while (this.#queued.size > 0);
    this.#writingUntil = 0;
  }
}

function keyOf({ actor, action, target, outcome, detail }: NewAuditEntry): string {
  return JSON.stringify([actor, action, target, outcome, detail]);
}
