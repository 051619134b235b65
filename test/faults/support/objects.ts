/**
 * Durable Objects whose calls go wrong on command. They are the real ones, with their real storage; the names of a
 * world's objects begin with its number, so that each program has objects of its own.
 */
import type { FaultTable } from "./fault-table.ts";
import type { ObjectBinding, ObjectGroup } from "./program.ts";

/** What the harness asks of an object besides its own methods. */
export type ObjectCommand = "crash" | "next alarm" | "run due alarm" | "run alarm" | "run alarm twice";

type Commanded = { command(command: ObjectCommand): Promise<number | null> };

/** Does what the harness asks. Returns when the object's alarm is due after that, `null` when never. */
export async function obey(
  ctx: DurableObjectState,
  object: { alarm(): Promise<void> },
  command: ObjectCommand,
): Promise<number | null> {
  if (command === "crash") {
    // What was answered is on disk; a crash takes nothing but memory and calls in flight.
    await ctx.storage.sync();
    ctx.abort("evicted");
  }
  const at = await ctx.storage.getAlarm();
  const isDue = at !== null && (command !== "run due alarm" || at <= Date.now());
  if (!isDue || command === "next alarm") return at;
  await ctx.storage.deleteAlarm();
  await object.alarm();
  if (command === "run alarm twice") await object.alarm();
  return ctx.storage.getAlarm();
}

type Namespace = { getByName(name: string): object };

/** The objects of one world. */
export class WorldObjects {
  readonly #faults: FaultTable;
  readonly #world: string;
  readonly #namespaces: Record<ObjectBinding, Namespace>;
  readonly #known = new Map<string, { binding: ObjectBinding; name: string }>();

  constructor(faults: FaultTable, world: string, namespaces: Record<ObjectBinding, Namespace>) {
    this.#faults = faults;
    this.#world = world;
    this.#namespaces = namespaces;
  }

  /** A binding whose objects' calls go wrong on command. */
  namespace(binding: ObjectBinding): Namespace {
    return {
      getByName: (name) => {
        const own = binding === "BLOB_SHARDS" ? fewerShards(name) : name;
        return new Proxy(
          {},
          {
            get:
              (_, method) =>
              (...args: unknown[]) =>
                this.#call(binding, own, String(method), args),
          },
        );
      },
    };
  }

  /** Gives each object of a group that was ever called a command; returns what they answer. */
  async command(group: ObjectGroup, command: ObjectCommand): Promise<(number | null)[]> {
    const answers: (number | null)[] = [];
    for (const { binding, name } of [...this.#known.values()]) {
      if (binding === "CATALOG" || (group !== "all" && group !== binding)) continue;
      const stub = this.#stub(binding, name) as Commanded;
      answers.push(await stub.command(command).catch(() => null));
    }
    return answers;
  }

  async #call(binding: ObjectBinding, name: string, method: string, args: unknown[]): Promise<unknown> {
    this.#known.set(`${binding} ${name}`, { binding, name });
    const effect = this.#faults.take(binding, method);
    if (effect === "overloaded") throw Object.assign(new Error("overloaded"), { overloaded: true });
    if (effect === "fail") throw connectionLost();
    if (effect === "slow") await this.#faults.delay();
    if (effect === "evict") await this.#crash(binding, name);
    const stub = this.#stub(binding, name);
    const remote = Reflect.get(stub, method) as (
      ...args: unknown[]
    ) => Promise<unknown> & Partial<Disposable>;
    const pending = Reflect.apply(remote, stub, args);
    try {
      const result = await pending;
      if (effect === "lost") throw connectionLost();
      if (effect === "evict after") await this.#crash(binding, name);
      return result;
    } finally {
      pending[Symbol.dispose]?.();
    }
  }

  async #crash(binding: ObjectBinding, name: string): Promise<void> {
    if (binding === "CATALOG") return;
    await (this.#stub(binding, name) as Commanded).command("crash").catch(() => {});
  }

  /** A stub that was cut is broken for good, so each call takes a new one. The catalog is shared by all worlds. */
  #stub(binding: ObjectBinding, name: string): object {
    const prefix = binding === "CATALOG" ? "" : `${this.#world}/`;
    return this.#namespaces[binding].getByName(prefix + name);
  }
}

/** What the platform says when an object's machine goes away: that it helps to try again. */
function connectionLost(): Error {
  return Object.assign(new Error("Network connection lost."), { retryable: true });
}

/** Two shards instead of 256: digests meet in them, and their batches, as in a registry with many. */
function fewerShards(name: string): string {
  return `shard-${Number.parseInt(name, 16) % 2}`;
}
