/** What reads and writes of all kinds come to on one machine: without KV, with few shards, and sessions that share objects. */
import { testOneMachine } from "../support/bucket-under-test.ts";

testOneMachine();
await import("./uploads.test.ts");
await import("./blobs.test.ts");
await import("./manifests.test.ts");
await import("./lists.test.ts");
await import("./broken-connections.test.ts");
