/** open-uploads.test.ts where sessions share objects. */
import { testOneMachine } from "../support/bucket-under-test.ts";

testOneMachine();
await import("./open-uploads.test.ts");
