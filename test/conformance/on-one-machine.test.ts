/** All statements of the specifications, on one machine: without KV and with few shards. */
import { testOneMachine } from "../support/bucket-under-test.ts";

testOneMachine();
await import("./conformance.test.ts");
