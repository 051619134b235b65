/**
 * The Worker: its `fetch`, and the classes of its Durable Objects. Nothing else happens here.
 */
import { BlobShard } from "./objects/blob-shard.ts";
import { Catalog as CatalogObject } from "./objects/catalog.ts";
import { Fetch as FetchObject } from "./objects/fetch.ts";
import { unlessLaterData } from "./objects/later-data.ts";
import { Ledger } from "./objects/ledger.ts";
import { NameIndex as NameIndexObject } from "./objects/name-index.ts";
import { Search as SearchObject } from "./objects/search.ts";
import { Upload as UploadObject } from "./objects/upload.ts";
import { WebhookQueue as WebhookQueueObject } from "./objects/webhook-queue.ts";
import { Webhooks as WebhooksObject } from "./objects/webhooks.ts";
import { failure } from "./oci/errors.ts";
import { answerQuestion } from "./rpc/fetch-channel.ts";
import { answerWrite } from "./rpc/upload-channel.ts";

export { worker as default } from "./edge/app.ts";

// Stored objects are found by the names that their classes are exported under: these never change (wrangler.toml).
export const Blobs = unlessLaterData(BlobShard, "Blobs");
export const Catalog = unlessLaterData(CatalogObject, "Catalog");
export const Fetch = unlessLaterData(FetchObject, "Fetch", () => answerQuestion(failure("LATER_DATA")));
export const NameIndex = unlessLaterData(NameIndexObject, "NameIndex");
export const Repository = unlessLaterData(Ledger, "Repository");
export const Search = unlessLaterData(SearchObject, "Search");
export const Upload = unlessLaterData(UploadObject, "Upload", (request) =>
  answerWrite(request, failure("LATER_DATA"), 0),
);
/** It stores nothing but an alarm. */
export { Upstream } from "./objects/upstream.ts";
export const WebhookQueue = unlessLaterData(WebhookQueueObject, "WebhookQueue");
export const Webhooks = unlessLaterData(WebhooksObject, "Webhooks");
