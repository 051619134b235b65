/**
 * The Worker: its `fetch`, and the classes of its Durable Objects. Nothing else happens here.
 */

import type { Env } from "./bindings.ts";
import { handle } from "./edge/app.ts";

// Stored objects are found by the names that their classes are exported under: these never change (wrangler.toml).
export { BlobShard as Blobs } from "./objects/blob-shard.ts";
export { Catalog } from "./objects/catalog.ts";
export { Ledger as Repository } from "./objects/ledger.ts";
export { Upload } from "./objects/upload.ts";
export { WebhookQueue } from "./objects/webhook-queue.ts";
export { Webhooks } from "./objects/webhooks.ts";

export default {
  fetch: (request, env, context) => handle(request, env, (promise) => context.waitUntil(promise)),
} satisfies ExportedHandler<Env>;
