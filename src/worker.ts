/**
 * The Worker: its `fetch`, and the classes of its Durable Objects. Nothing else happens here.
 */
import { handle } from "./edge/app.ts";
import type { Env } from "./env.ts";

export { Blobs } from "./objects/blobs.ts";
export { Catalog } from "./objects/catalog.ts";
export { Repository } from "./objects/repository.ts";
export { Upload } from "./objects/upload.ts";
export { WebhookQueue } from "./objects/webhook-queue.ts";
export { Webhooks } from "./objects/webhooks.ts";

export default {
  fetch: (request, env, context) => handle(request, env, (promise) => context.waitUntil(promise)),
} satisfies ExportedHandler<Env>;
