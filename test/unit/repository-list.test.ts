import assert from "node:assert/strict";
import test from "node:test";
import { RepositoryList } from "../../src/objects/catalog/repository-list.ts";
import { catalogSchema } from "../../src/objects/catalog/schema.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { memoryStorage } from "../support/sqlite.ts";

test("of a repository the pulls of a thousand tags are kept, those that were pulled last", () => {
  const storage = memoryStorage();
  const list = new RepositoryList(storage.sql);
  transaction(storage, (tx) => {
    applySchema(tx, catalogSchema);
    for (const name of ["many", "few"] as RepositoryName[]) {
      list.put(tx, { name, visibility: "private", description: "" }, undefined);
    }
  });
  const pull = (repository: string, tags: string[], now: number) => {
    const pulls = tags.map((tag) => ({ repository, tag, pulls: 1 }));
    transaction(storage, (tx) => list.addPulls(tx, pulls, now));
  };
  pull("few", ["v1"], 1);
  for (let batch = 0; batch < 30; batch++) {
    pull(
      "many",
      Array.from({ length: 100 }, (_, tag) => `${batch}-${tag}`),
      10 + batch,
    );
    pull("many", ["latest"], 10 + batch);
  }
  const tags = list.tagPulls("many", 10_000).map(({ tag }) => tag);
  assert.equal(tags.length, 1000);
  assert.equal(tags[0], "latest");
  assert(tags.includes("29-99") && tags.includes("21-0") && !tags.includes("19-0"));
  assert.deepEqual(
    list.tagPulls("few", 10).map(({ tag }) => tag),
    ["v1"],
  );
  assert.equal(list.mostPulled(1)[0]?.pulls, 3030, "the pulls of the repository are all counted");
});
