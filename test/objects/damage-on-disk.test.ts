/** damage.test.ts with the bucket of one machine. */
import { bucketUnderTest } from "../support/bucket-under-test.ts";

bucketUnderTest.kind = "disk";
await import("./damage.test.ts");
