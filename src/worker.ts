/**
 * The Worker: its `fetch`, and the classes of its Durable Objects. Nothing else happens here.
 */

export { worker as default } from "./edge/app.ts";
// Stored objects are found by the names that their classes are exported under: these never change (wrangler.toml).
export { BlobShard as Blobs } from "./objects/blob-shard.ts";
export { Catalog } from "./objects/catalog.ts";
export { Fetch } from "./objects/fetch.ts";
export { Ledger as Repository } from "./objects/ledger.ts";
export { NameIndex } from "./objects/name-index.ts";
export { Search } from "./objects/search.ts";
export { Upload } from "./objects/upload.ts";
export { Upstream } from "./objects/upstream.ts";
export { WebhookQueue } from "./objects/webhook-queue.ts";
export { Webhooks } from "./objects/webhooks.ts";
