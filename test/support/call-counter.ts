/** Counts what is asked of bindings: KV, R2, objects. Runs in the Worker, in entries that wrap the real one. */

/** How often each method was called, by `BINDING.method`. */
export type Calls = Record<string, number>;

/** Methods that only name what is called later: they cost nothing, and what they return is counted. */
const naming = new Set<PropertyKey>(["getByName", "resumeMultipartUpload"]);

/** Counts the calls to the bindings that it wraps. */
export class CallCounter {
  #calls: Calls = {};
  #mostAtOnce: Calls = {};
  readonly #inFlight = new Map<string, number>();
  /** The call whose next one is lost. */
  #lost: string | null = null;

  /** The bindings, counted. Each time new ones: what the Worker keeps for one set it does not know of another. */
  wrap<E extends object>(env: E): E {
    const entries = Object.entries(env).map(([name, binding]: [string, unknown]) => [
      name,
      typeof binding === "object" && binding !== null ? this.#counted(binding, name) : binding,
    ]);
    return Object.fromEntries(entries) as E;
  }

  /** Lets the next call of this method, `BINDING.method`, fail before it reaches the binding. */
  lose(call: string | null): void {
    this.#lost = call;
  }

  /** What was called since this was asked last. */
  take(): Calls {
    const calls = this.#calls;
    this.#calls = {};
    return calls;
  }

  /** How many calls of each name were in flight at once, at most, since this was asked last. */
  takeMostAtOnce(): Calls {
    const most = this.#mostAtOnce;
    this.#mostAtOnce = {};
    return most;
  }

  /** Whether a call waits for its answer. */
  get isBusy(): boolean {
    return this.#inFlight.values().some((calls) => calls > 0);
  }

  #counted<T extends object>(binding: T, name: string): T {
    return new Proxy(binding, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const call = `${name}.${String(property)}`;
          if (call === this.#lost) {
            this.#lost = null;
            return Promise.reject(new Error(`${call} was cut off`));
          }
          const result: unknown = Reflect.apply(value, target, args);
          if (naming.has(property)) return this.#counted(result as object, name);
          this.#count(call, result);
          return result;
        };
      },
    });
  }

  #count(call: string, result: unknown): void {
    this.#calls[call] = (this.#calls[call] ?? 0) + 1;
    const inFlight = (this.#inFlight.get(call) ?? 0) + 1;
    this.#inFlight.set(call, inFlight);
    this.#mostAtOnce[call] = Math.max(this.#mostAtOnce[call] ?? 0, inFlight);
    const end = () => {
      this.#inFlight.set(call, (this.#inFlight.get(call) ?? 0) - 1);
    };
    Promise.resolve(result).then(end, end);
  }
}
