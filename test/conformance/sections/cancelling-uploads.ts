import { expectError } from "../../support/answer.ts";
import { content } from "../../support/content.ts";
import { hourMs, uploadId } from "../../support/timed-registry.ts";
import type { Section } from "../statement.ts";

export const cancellingUploads: Section = {
  document: "distribution-spec",
  title: "Cancel a blob upload",
  statements: [
    {
      id: "cancel-204",
      quote:
        "The `<blob-push-location>` refers to the URL obtained from the preceding `POST` or `PATCH` request. If successful, the response SHOULD be a `204 No Content` response code.",
      choice: "204, whether the upload has received bytes or not; from then on it is `BLOB_UPLOAD_UNKNOWN`.",
      check: async ({ registry }) => {
        const opened = await registry.openUpload("cancel");
        const started = await registry.patch(await registry.openUpload("cancel"), content());
        for (const location of [opened, started]) {
          await registry.must(204, "DELETE", location);
          for (const method of ["GET", "PATCH", "DELETE"]) {
            expectError(await registry.send(method, location), 404, "BLOB_UPLOAD_UNKNOWN");
          }
        }
      },
    },
    {
      id: "upload-timeout",
      quote:
        "If this request fails or is not called, the server SHOULD eventually timeout unfinished uploads.",
      choice: "After `UPLOAD_TTL` (a day) without a request.",
      check: async ({ registry, advance, runAlarm }) => {
        const opened = await registry.openUpload("timeout");
        const started = await registry.patch(await registry.openUpload("timeout"), content());
        await advance(25 * hourMs);
        await runAlarm("UPLOADS", uploadId(started));
        for (const location of [opened, started]) {
          expectError(await registry.get(location), 404, "BLOB_UPLOAD_UNKNOWN");
        }
      },
    },
  ],
  ofClients: [
    "Clients SHOULD send this request when aborting a blob upload, releasing server resources.",
    "Clients SHOULD ignore any failures.",
  ],
};
