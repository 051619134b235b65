/**
 * The Worker as tests of access run it: its clock can be moved, the calls that a request makes to bindings are
 * counted and can be cut off, and what waits for others gives up ten times sooner.
 */

import type { Env } from "../../../src/env.ts";
import worker from "../../../src/worker.ts";

export { Blobs, Catalog, Repository, Upload } from "../../../src/worker.ts";

const machineNow = Date.now;
let aheadMs = 0;
Date.now = () => machineNow() + aheadMs;

const machineTimeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (milliseconds) => machineTimeout(milliseconds / 10);

let calls: Record<string, number> = {};

/** The call, `BINDING.method`, whose next one is lost. */
let lostCall: string | null = null;

/** A binding, or the stub of an object, whose calls are counted under `BINDING.method`. */
function counted<T extends object>(binding: T, name: string): T {
  return new Proxy(binding, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const call = `${name}.${String(property)}`;
        if (call === lostCall) {
          lostCall = null;
          return Promise.reject(new Error(`${call} was cut off`));
        }
        const result: unknown = Reflect.apply(value, target, args);
        if (property === "getByName") return counted(result as object, name);
        calls[call] = (calls[call] ?? 0) + 1;
        return result;
      };
    },
  });
}

let countedEnv: Env | undefined;

function countedBindings(env: Env): Env {
  const entries = Object.entries(env).map(([name, binding]: [string, unknown]) => [
    name,
    typeof binding === "object" && binding !== null ? counted(binding, name) : binding,
  ]);
  return Object.fromEntries(entries) as Env;
}

export default {
  fetch: (request, env, context) => {
    const { pathname, searchParams } = URL.parse(request.url) ?? { searchParams: new URLSearchParams() };
    if (pathname === "/_test/advance") {
      aheadMs += Number(searchParams.get("ms"));
      return new Response();
    }
    if (pathname === "/_test/lose") {
      lostCall = searchParams.get("call");
      return new Response();
    }
    if (pathname === "/_test/calls") {
      const made = calls;
      calls = {};
      return Response.json(made);
    }
    countedEnv ??= countedBindings(env);
    return worker.fetch(request, countedEnv, context);
  },
} satisfies ExportedHandler<Env>;
