/** Caching as `npm start` has it: blobs in files, no KV, and few objects. */
import { testOneMachine } from "../support/bucket-under-test.ts";

testOneMachine();
await import("./pulls.test.ts");
await import("./fetches.test.ts");
