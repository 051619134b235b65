/**
 * The Worker as it is, with ledgers that are overloaded for the next calls which link blobs.
 *
 * POST /.test/overload/<calls> says for how many; GET /.test/overload answers how many of them are still to come.
 */
import type { Env } from "../../../src/bindings.ts";
import { Upload as RealUpload } from "../../../src/objects/upload.ts";
import type { LedgerApi } from "../../../src/rpc/api.ts";
import worker from "../../../src/worker.ts";

export { BlobShard as Blobs } from "../../../src/objects/blob-shard.ts";
export { Catalog } from "../../../src/objects/catalog.ts";
export { Fetch } from "../../../src/objects/fetch.ts";
export { Ledger as Repository } from "../../../src/objects/ledger.ts";
export { NameIndex } from "../../../src/objects/name-index.ts";
export { Search } from "../../../src/objects/search.ts";
export { Upstream } from "../../../src/objects/upstream.ts";
export { WebhookQueue } from "../../../src/objects/webhook-queue.ts";
export { Webhooks } from "../../../src/objects/webhooks.ts";

let overloads = 0;

type Ledgers = Env["LEDGERS"];

/** What the platform answers for an object that has too many requests waiting. */
function overloadable(ledgers: Ledgers): Ledgers {
  const getByName = (name: string) => {
    const stub = ledgers.getByName(name) as unknown as LedgerApi;
    const linkBlob = (...args: Parameters<LedgerApi["linkBlob"]>) => {
      if (overloads === 0) return stub.linkBlob(...args);
      overloads--;
      throw Object.assign(new Error("Durable Object is overloaded."), { overloaded: true });
    };
    return new Proxy(stub, {
      get: (_, method) => (method === "linkBlob" ? linkBlob : Reflect.get(stub, method)),
    });
  };
  return { getByName } as unknown as Ledgers;
}

/** One for each `env`: what an isolate remembers hangs on it. */
const wrapped = new WeakMap<Env, Env>();

function withOverloads(env: Env): Env {
  const known = wrapped.get(env) ?? { ...env, LEDGERS: overloadable(env.LEDGERS) };
  wrapped.set(env, known);
  return known;
}

export class Upload extends RealUpload {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, withOverloads(env));
  }
}

export default {
  async fetch(request, env, context) {
    const [, directory, subject, calls] = new URL(request.url).pathname.split("/");
    if (directory !== ".test" || subject !== "overload")
      return worker.fetch(request, withOverloads(env), context);
    if (request.method === "POST") overloads = Number(calls);
    return Response.json(overloads);
  },
} satisfies ExportedHandler<Env>;
