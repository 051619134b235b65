/**
 * KV as the platform documents it: each location sees writes late, and caches what it saw, misses too. A write may be
 * refused, be lost on the way, or land later than it was said to have failed.
 *
 * It is plain data on the tests' clock, so that a lag of a minute takes no time.
 */
import type { FaultTable } from "./fault-table.ts";
import { damaged } from "./memory-bucket.ts";
import type { KvOperation, LocationIndex, RowDamage } from "./program.ts";

type Value = Uint8Array | null;
type Write = { at: number; value: Value };

/** How long a location believes what it read, in milliseconds: the platform's default `cacheTtl`. */
const cacheTtlMs = 60_000;

/** How late a write of unknown outcome lands, in milliseconds; less than the registry's `REPLICA_REPEAT`. */
const lateMs = 50_000;

/** Writes to a key come at most this often, in milliseconds; the platform refuses others with 429. */
const writeIntervalMs = 1_000;

/** The namespace: what was written, and when it landed. */
export class LaggingKv {
  readonly #faults: FaultTable;
  readonly #writes = new Map<string, Write[]>();
  readonly #views = [new Map<string, Write>(), new Map<string, Write>()] as const;
  readonly #lags: [number, number] = [0, 0];

  constructor(faults: FaultTable) {
    this.#faults = faults;
  }

  /** Sets how much later than now a location sees what is written. */
  setLag(location: LocationIndex, milliseconds: number): void {
    this.#lags[location] = milliseconds;
  }

  /** The binding as a location has it. */
  binding(location: LocationIndex): KVNamespace {
    const binding = {
      get: async (key: string, type: "json" | "arrayBuffer") => {
        const effect = this.#faults.take("kv.get", key);
        const value = await this.#faults.apply("kv.get", effect, async () => this.#read(location, key));
        if (value === null) return null;
        return type === "json" ? JSON.parse(new TextDecoder().decode(value)) : value.slice().buffer;
      },
      put: (key: string, value: string | Uint8Array) =>
        this.#write("put", key, typeof value === "string" ? new TextEncoder().encode(value) : value.slice()),
      delete: (key: string) => this.#write("delete", key, null),
      list: () => {
        const keys = [...this.rows().keys()].map((name) => ({ name }));
        const call = async () => ({ keys, list_complete: true });
        return this.#faults.apply("kv.list", this.#faults.take("kv.list"), call);
      },
    };
    return binding as unknown as KVNamespace;
  }

  /** Damages a row, if there is one; returns whether. Its end is that of what it is a copy of. */
  damage(key: string, how: RowDamage): boolean {
    const writes = this.#writes.get(key) ?? [];
    const value = latest(writes, Date.now())?.value ?? null;
    if (value !== null) land(writes, { at: Date.now(), value: damaged(value, how) });
    return value !== null;
  }

  /** What has landed, whoever may see it yet. */
  rows(): Map<string, Uint8Array> {
    const now = Date.now();
    const rows = new Map<string, Uint8Array>();
    for (const [key, writes] of this.#writes) {
      const value = latest(writes, now)?.value ?? null;
      if (value !== null) rows.set(key, value);
    }
    return rows;
  }

  /** Whether a location that was asked may have seen a row under this key since, or an isolate there remembered it. */
  mayBeSeen(key: string, location: LocationIndex, isolateTtlMs: number, askedAt: number): boolean {
    const writes = this.#writes.get(key) ?? [];
    const now = Date.now();
    const memoryMs = this.#lags[location] + cacheTtlMs + isolateTtlMs;
    const landed = writes.filter((write) => write.at <= now);
    return landed.some(({ value }, index) => {
      const goneAt = landed[index + 1]?.at ?? Number.POSITIVE_INFINITY;
      return value !== null && goneAt + memoryMs >= askedAt;
    });
  }

  #read(location: LocationIndex, key: string): Value {
    const now = Date.now();
    const view = this.#views[location];
    const seen = view.get(key);
    if (seen !== undefined && seen.at + cacheTtlMs > now) return seen.value;
    const value = latest(this.#writes.get(key) ?? [], now - this.#lags[location])?.value ?? null;
    view.set(key, { at: now, value });
    return value;
  }

  async #write(operation: Extract<KvOperation, "put" | "delete">, key: string, value: Value): Promise<void> {
    const effect = this.#faults.take(`kv.${operation}`, key);
    const writes = this.#writes.get(key) ?? [];
    this.#writes.set(key, writes);
    if (effect === "late") {
      land(writes, { at: Date.now() + lateMs, value });
      throw new Error("KV PUT failed: 500 timed out");
    }
    await this.#faults.apply(`kv.${operation}`, effect, async () => {
      const before = latest(writes, Date.now());
      if (before !== undefined && before.at + writeIntervalMs > Date.now()) {
        throw new Error("KV PUT failed: 429 Too Many Requests");
      }
      land(writes, { at: Date.now(), value });
    });
  }
}

/** Keeps writes in the order in which they land. */
function land(writes: Write[], write: Write): void {
  writes.push(write);
  writes.sort((one, other) => one.at - other.at);
}

function latest(writes: Write[], until: number): Write | undefined {
  return writes.findLast((write) => write.at <= until);
}
