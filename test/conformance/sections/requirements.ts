import { content, digestOf } from "../../support/content.ts";
import { until } from "../../support/registry.ts";
import { closeSession } from "../../support/upload-ways.ts";
import type { Section } from "../statement.ts";
import { library } from "../world.ts";

export const requirements: Section = {
  document: "distribution-spec",
  title: "Requirements",
  statements: [
    {
      id: "pull-category",
      quote:
        "All registries conforming to this specification MUST support, at a minimum, all APIs in the **Pull** category.",
      check: ({ registry, image }) => registry.pullImage(library, "latest", image),
    },
    {
      id: "all-categories",
      quote:
        "Registries SHOULD also support the **Push**, **Content Discovery**, and **Content Management** categories. A registry claiming conformance with one of these specification categories MUST implement all APIs in the claimed category.",
      choice: "All four categories, whole.",
      check: async ({ registry }) => {
        const image = await registry.pushImage("categories", "one");
        await registry.pullImage("categories", "one", image);
        for (const list of ["tags/list", `referrers/${image.digest}`]) {
          await registry.must(200, "GET", `/v2/categories/${list}`);
        }
        for (const reference of ["one", image.digest]) {
          await registry.must(202, "DELETE", `/v2/categories/manifests/${reference}`);
        }
        await registry.must(202, "DELETE", `/v2/categories/blobs/${image.config}`);
      },
    },
    {
      id: "pull-in-any-order",
      quote: "However, you MAY retrieve content from the registry in any order.",
      choice: "A blob is served as soon as it is pushed, without any manifest.",
      check: async ({ registry }) => {
        const bytes = content();
        await registry.pushBlob("any-order", bytes);
        await registry.must(200, "GET", `/v2/any-order/blobs/${digestOf(bytes)}`);
      },
    },
  ],
};

export const useCases: Section = {
  document: "distribution-spec",
  title: "Use Cases",
  statements: [
    {
      id: "use-resumable-push",
      quote:
        "The registry notifies the build server that the upload has already been partially attempted. The build server responds by only sending the remaining data to complete the blob transfer.",
      check: async ({ registry }) => {
        const bytes = content(1000);
        const location = await registry.patch(await registry.openUpload("resume"), bytes.slice(0, 600));
        const status = await registry.must(204, "GET", location);
        const offset = await registry.uploadOffset(location);
        await closeSession(registry, status.header("Location"), digestOf(bytes), bytes.slice(offset));
      },
    },
    {
      id: "use-deduplication",
      quote:
        "If process A and B upload the same layer at the same time, both operations will proceed and the first to complete will be stored in the registry. Even in the case where both uploads are accepted, the registry may securely only store one copy of the layer since the computed digests match.",
      choice: "Both are accepted, in one repository or in two; the bytes are kept once.",
      check: async ({ registry }) => {
        const bytes = content();
        const before = registry.stored.blobKeys().length;
        await Promise.all(["dedup/a", "dedup/b", "dedup/a"].map((name) => registry.streamBlob(name, bytes)));
        await until("the other copies' deletion", () => registry.stored.blobKeys().length === before + 1);
        for (const name of ["dedup/a", "dedup/b"]) {
          await registry.must(200, "GET", `/v2/${name}/blobs/${digestOf(bytes)}`);
        }
      },
    },
  ],
};
