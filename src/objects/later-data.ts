/**
 * Going back to an earlier release: objects whose data a later release has changed so that this one cannot read it. Such
 * an object answers every call with the same error, changes nothing, and tells the catalog. Once the later release is
 * deployed again, it goes on as if nothing had happened.
 */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../bindings.ts";
import { systemClock } from "../clock.ts";
import { dataVersions, type StoredClass } from "../data-versions.ts";
import { log } from "../log.ts";
import { catalogStub, type LaterDataAnswer } from "../rpc/stubs.ts";
import { hour } from "../units.ts";
import { dataVersion } from "./schema.ts";

type ObjectClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env>;

/** How a class that is reached by `fetch` answers it with the error. */
type RefuseFetch = NonNullable<DurableObject["fetch"]>;

/**
 * How long the alarm of such an object is postponed, in milliseconds. The object must keep an alarm, as nobody else may
 * ever wake it.
 */
const alarmAgainMs = hour;

/**
 * The class under which objects are exported: it passes calls on to an object of the given class, unless the stored data
 * is of a later release. That object is not even constructed then, as it would read its tables.
 */
export function unlessLaterData(
  Real: ObjectClass,
  kind: StoredClass,
  refuseFetch?: RefuseFetch,
): ObjectClass {
  return class Opened extends DurableObject<Env> {
    readonly #object: DurableObject<Env> | undefined;
    readonly #version: number;
    #isTold = false;

    static {
      for (const method of methodsOf(Real)) {
        const value = function (this: Opened, ...args: unknown[]): unknown {
          return this.#call(method, args);
        };
        Object.defineProperty(Opened.prototype, method, { value });
      }
    }

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#version = dataVersion(ctx.storage.sql);
      this.#object = this.#version > dataVersions[kind] ? undefined : new Real(ctx, env);
    }

    #call(method: string, args: unknown[]): unknown {
      if (this.#object !== undefined)
        return Reflect.apply(Reflect.get(this.#object, method), this.#object, args);
      this.#tell();
      if (method === "alarm") return this.ctx.storage.setAlarm(systemClock.now() + alarmAgainMs);
      if (method === "fetch" && refuseFetch !== undefined)
        return refuseFetch(args[0] as Parameters<RefuseFetch>[0]);
      return { hasLaterData: true, why: this.#why } satisfies LaterDataAnswer;
    }

    get #why(): string {
      return `the data of this ${kind} has version ${this.#version}, and this release reads up to ${dataVersions[kind]}`;
    }

    /** Tells the log and the catalog, once in the life of this object. */
    #tell(): void {
      if (this.#isTold) return;
      this.#isTold = true;
      const name = this.ctx.id.name ?? this.ctx.id.toString();
      log("error", "data of a later release", { kind, object: name, why: this.#why });
      // The catalog itself is asked by whoever reports on all objects.
      if (kind === "Catalog") return;
      const told = catalogStub(this.env).noteLaterData(kind, name, this.#version);
      this.ctx.waitUntil(
        told.catch(() => {
          this.#isTold = false;
        }),
      );
    }
  };
}

/** The methods of a class and of those that it extends. */
function methodsOf(Real: ObjectClass): string[] {
  const names = new Set<string>();
  for (let each = Real.prototype; each !== DurableObject.prototype; each = Object.getPrototypeOf(each)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(each))) {
      if (name !== "constructor" && typeof value === "function") names.add(name);
    }
  }
  return [...names];
}
