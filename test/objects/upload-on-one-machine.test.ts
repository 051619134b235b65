/** upload.test.ts where sessions share objects. */
import { testOneMachine } from "../support/bucket-under-test.ts";

testOneMachine();
await import("./upload.test.ts");
