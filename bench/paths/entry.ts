/** The Worker, which also answers which functions ran since it was asked last: `GET /passed`. */
import type { Env } from "../../src/bindings.ts";
import worker from "../../src/worker.ts";

export * from "../../src/worker.ts";

declare global {
  var passed: Set<number>;
}

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname !== "/passed") return worker.fetch(request, env, context);
    const numbers = Array.from(passed);
    passed.clear();
    return Response.json(numbers);
  },
} satisfies ExportedHandler<Env>;
