/**
 * Durable Objects whose calls go wrong on command. They are the real ones, with their real storage; the names of a
 * world's objects begin with its number, so that each program has objects of its own.
 */
import type { FaultTable } from "./fault-table.ts";
import type { AlarmWay, DelayedCall, FaultTarget, ObjectBinding, ObjectGroup } from "./program.ts";

/** What the harness asks of an object besides its own methods. */
export type ObjectCommand =
  | "wake"
  | "crash"
  | "run alarm"
  | "run alarm twice"
  | "repeat alarm"
  | "lose alarm";

type Commanded = { id: DurableObjectId; command(command: ObjectCommand): Promise<void> };

/** Does what the harness asks. */
export async function obey(
  ctx: DurableObjectState,
  object: { alarm(invocation?: AlarmInvocationInfo): Promise<void> },
  command: ObjectCommand,
): Promise<void> {
  if (command === "crash") {
    // What was answered is on disk; a crash takes nothing but memory and calls in flight.
    await ctx.storage.sync();
    ctx.abort("evicted");
  }
  const isRepeated = command === "repeat alarm";
  if (command === "wake" || (!isRepeated && (await ctx.storage.getAlarm()) === null)) return;
  // Not awaited: a crash leaves no time between the alarm's end and what the object does first.
  void ctx.storage.deleteAlarm();
  if (command === "lose alarm") return;
  await object.alarm({ isRetry: isRepeated, retryCount: isRepeated ? 1 : 0, scheduledTime: Date.now() });
  if (command === "run alarm twice") await object.alarm();
}

type Namespace = { getByName(name: string): object };

type Send = (command: ObjectCommand) => Promise<unknown>;

const always = (): boolean => true;
const run = (send: Send): Promise<unknown> => send("run alarm");

const alarmWays: Record<Exclude<AlarmWay, "due">, (send: Send) => Promise<unknown>> = {
  early: run,
  twice: (send) => send("run alarm twice"),
  cut: async (send) => {
    await Promise.all([send("run alarm"), send("crash")]);
  },
  // The platform gives up an alarm that has failed too often, and its object is gone by then.
  never: async (send) => {
    await send("lose alarm");
    await send("crash");
  },
};

/** The objects of one world. */
export class WorldObjects {
  readonly #faults: FaultTable;
  readonly #world: string;
  readonly #namespaces: Record<ObjectBinding, Namespace>;
  readonly #known = new Map<string, { binding: ObjectBinding; name: string; id: string }>();
  /** When each object is to be woken, by its id: as it said, so that nobody has to ask them all. */
  readonly #alarms = new Map<string, number>();
  /** The objects that died while their alarm ran: the platform repeats it. */
  readonly #alarmsToRepeat = new Set<string>();
  /** The objects whose alarm runs, and waits for a call that is under way: the platform runs one at a time. */
  readonly #alarmsUnderWay = new Map<string, Promise<unknown>>();
  #hasLostAlarms = false;

  constructor(faults: FaultTable, world: string, namespaces: Record<ObjectBinding, Namespace>) {
    this.#faults = faults;
    this.#world = world;
    this.#namespaces = namespaces;
  }

  /** A binding whose objects' calls go wrong on command. */
  namespace(binding: ObjectBinding): Namespace {
    return {
      getByName: (name) => {
        return new Proxy(
          {},
          {
            get:
              (_, method) =>
              (...args: unknown[]) =>
                this.#call(binding, name, String(method), args),
          },
        );
      },
    };
  }

  /** Notes whatever an object says of its alarm. To be called before it says anything. */
  noteAlarm({ id, storage }: DurableObjectState): void {
    const setAlarm = storage.setAlarm.bind(storage);
    const deleteAlarm = storage.deleteAlarm.bind(storage);
    const deleteAll = storage.deleteAll.bind(storage);
    storage.setAlarm = (at, options) => {
      this.#alarms.set(id.toString(), Number(at));
      return setAlarm(at, options);
    };
    storage.deleteAlarm = (options) => {
      this.#alarms.delete(id.toString());
      return deleteAlarm(options);
    };
    storage.deleteAll = async (options) => {
      await deleteAll(options);
      // Whether the alarm goes with the rest depends on the compatibility date.
      if ((await storage.getAlarm()) === null) this.#alarms.delete(id.toString());
    };
  }

  /** When the first alarm is due; `undefined`: there is none. */
  get nextAlarm(): number | undefined {
    return this.#alarms.size === 0 ? undefined : Math.min(...this.#alarms.values());
  }

  /** Whether any object of a group is to be woken. */
  hasAlarms(group: ObjectGroup): boolean {
    return [...this.#known.values()].some(({ binding, id }) => binding === group && this.#alarms.has(id));
  }

  /** Runs the alarms of a group's objects that are due, one after the other. */
  async runDueAlarms(group: ObjectGroup): Promise<void> {
    await this.#each(group, (alarmAt = Number.POSITIVE_INFINITY) => alarmAt <= Date.now(), run, false);
  }

  /** Has something happen to the alarms of a group's objects, due or not. */
  async runAlarms(group: ObjectGroup, how: Exclude<AlarmWay, "due">): Promise<void> {
    const isCrash = how === "cut" || how === "never";
    if (how === "never") this.#hasLostAlarms = true;
    await this.#each(group, (alarmAt) => alarmAt !== undefined, alarmWays[how], isCrash);
  }

  /** Takes the memory of a group's objects, and the calls in flight. */
  async crash(group: ObjectGroup): Promise<void> {
    await this.#each(group, always, (send) => send("crash"));
  }

  /** Calls all objects where alarms were lost, as somebody does at some time: so they notice. */
  async wake(): Promise<void> {
    if (this.#hasLostAlarms) await this.#each("all", always, (send) => send("wake"));
  }

  /**
   * Commands each object of a group that was ever called, and whose alarm is wanted. One that waits for a call which is
   * under way is left at it; unless `always`, it is commanded again only once it has done with that.
   */
  async #each(
    group: ObjectGroup,
    isWanted: (alarmAt: number | undefined) => boolean,
    work: (send: Send) => Promise<unknown>,
    always = true,
  ): Promise<void> {
    for (const { binding, name, id } of [...this.#known.values()]) {
      if (group !== "all" && group !== binding) continue;
      if (!isWanted(this.#alarms.get(id)) || (!always && this.#alarmsUnderWay.has(id))) continue;
      await this.#faults.untilHeld(() => {
        const working = work((command) =>
          command === "run alarm" ? this.#runAlarm(binding, name, id) : this.#send(binding, name, command),
        ).finally(() => this.#alarmsUnderWay.delete(id));
        this.#alarmsUnderWay.set(id, working);
        return working;
      });
    }
  }

  /** Waits until no alarm is under way. To be called when no call is held. */
  async alarmsEnd(): Promise<void> {
    await Promise.allSettled(this.#alarmsUnderWay.values());
  }

  async #call(binding: ObjectBinding, name: string, method: string, args: unknown[]): Promise<unknown> {
    if (!this.#known.has(`${binding} ${name}`)) {
      this.#known.set(`${binding} ${name}`, { binding, name, id: this.#stub(binding, name).id.toString() });
    }
    const target = `${binding}.${method}` as FaultTarget;
    const effect = this.#faults.take(target);
    if (effect === "overloaded") throw Object.assign(new Error("overloaded"), { overloaded: true });
    if (effect === "fail") throw connectionLost();
    if (effect === "slow") await this.#faults.delay();
    if (effect === "evict") await this.#crash(binding, name);
    const call = () => this.#deliver(binding, name, method, args);
    const { delayed } = this.#faults;
    if (effect === "held") return delayed.request(target as DelayedCall, call);
    if (effect === "late" || effect === "again") delayed.later(target as DelayedCall, call);
    if (effect === "late") throw connectionLost();
    const pending = call();
    const crashing = effect === "cut" ? this.#crash(binding, name) : undefined;
    try {
      const result = await pending;
      if (effect === "evict after") await this.#crash(binding, name);
      if (effect === "answer held") await delayed.answer(target as DelayedCall);
      await this.#faults.answer(effect);
      if (effect === "lost" || effect === "time out") throw connectionLost();
      return result;
    } catch (error) {
      throw effect === "cut" ? connectionLost() : error;
    } finally {
      await crashing;
    }
  }

  /** Calls a method. The call is disposed of, as src/rpc/stubs.ts does, which sees only what wraps it. */
  async #deliver(binding: ObjectBinding, name: string, method: string, args: unknown[]): Promise<unknown> {
    const stub = this.#stub(binding, name);
    const remote = Reflect.get(stub, method) as (
      ...args: unknown[]
    ) => Promise<unknown> & Partial<Disposable>;
    const pending = Reflect.apply(remote, stub, args);
    try {
      return await pending;
    } finally {
      pending[Symbol.dispose]?.();
    }
  }

  /** Runs an alarm. If the object dies in it, it comes again. */
  async #runAlarm(binding: ObjectBinding, name: string, id: string): Promise<void> {
    const isRepeated = this.#alarmsToRepeat.delete(id);
    if (await this.#send(binding, name, isRepeated ? "repeat alarm" : "run alarm")) return;
    this.#alarmsToRepeat.add(id);
    this.#alarms.set(id, Date.now());
  }

  /**
   * A crash breaks the call that asks for it, too, and whatever is under way in the object. Returns whether the object
   * lived to the end of it.
   */
  async #send(binding: ObjectBinding, name: string, command: ObjectCommand): Promise<boolean> {
    if (command === "crash") this.#faults.fired.push(binding);
    return this.#stub(binding, name)
      .command(command)
      .then(
        () => true,
        () => false,
      );
  }

  async #crash(binding: ObjectBinding, name: string): Promise<void> {
    await this.#send(binding, name, "crash");
  }

  /** A stub that was cut is broken for good, so each call takes a new one. */
  #stub(binding: ObjectBinding, name: string): Commanded {
    return this.#namespaces[binding].getByName(`${this.#world}/${name}`) as Commanded;
  }
}

/** What the platform says when an object's machine goes away: that it helps to try again. */
function connectionLost(): Error {
  return Object.assign(new Error("Network connection lost."), { retryable: true });
}
