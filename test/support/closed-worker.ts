/**
 * The Worker as tests of access run it: its clock can be moved, the calls that a request makes to bindings are
 * counted and can be cut off, and what waits for others can be made to give up sooner.
 */

import type { Env } from "../../src/bindings.ts";
import { catalogStub } from "../../src/rpc/stubs.ts";
import worker from "../../src/worker.ts";
import { CallCounter } from "./call-counter.ts";
import { holdClock, moveClock } from "./moved-clock.ts";

export {
  Blobs,
  Catalog,
  Fetch,
  NameIndex,
  Repository,
  Search,
  Upload,
  Upstream,
  WebhookQueue,
  Webhooks,
} from "../../src/worker.ts";

const machineTimeout = AbortSignal.timeout.bind(AbortSignal);
let hurry = 1;
AbortSignal.timeout = (milliseconds) => machineTimeout(milliseconds / hurry);

const counter = new CallCounter();
let countedEnv: Env | undefined;

export default {
  fetch: async (request, env, context) => {
    const { pathname, searchParams } = URL.parse(request.url) ?? { searchParams: new URLSearchParams() };
    if (pathname === "/_test/advance") {
      moveClock(Number(searchParams.get("ms")));
      return new Response();
    }
    if (pathname === "/_test/hold-clock") {
      holdClock();
      return new Response();
    }
    if (pathname === "/_test/hurry") {
      hurry = Number(searchParams.get("times"));
      return new Response();
    }
    if (pathname === "/_test/lose") {
      counter.lose(searchParams.get("call"));
      return new Response();
    }
    if (pathname === "/_test/calls") return Response.json(counter.take());
    if (pathname === "/_test/set") {
      // What a deployment does to a variable: another `env`, and an isolate that knows nothing yet.
      countedEnv = counter.wrap({
        ...env,
        [searchParams.get("name") ?? ""]: searchParams.get("value") ?? "",
      });
      return new Response();
    }
    if (pathname === "/_test/keys") return Response.json(await catalogStub(env).signingKeys());
    countedEnv ??= counter.wrap(env);
    return worker.fetch(request, countedEnv, context);
  },
} satisfies ExportedHandler<Env>;
