/** What streams bodies and reads ranges, with the bucket of one machine. */
import { bucketUnderTest } from "../support/bucket-under-test.ts";

bucketUnderTest.kind = "disk";
await import("./uploads.test.ts");
await import("./blobs.test.ts");
await import("./broken-connections.test.ts");
