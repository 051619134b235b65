import assert from "node:assert/strict";
import test from "node:test";
import { CountStore } from "../../src/objects/catalog/count-store.ts";
import { catalogSchema } from "../../src/objects/catalog/schema.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import { memoryStorage } from "../support/sqlite.ts";

test("of a repository the pulls of a thousand tags are kept, those that were pulled last", () => {
  const storage = memoryStorage();
  const { sql } = storage;
  transaction(storage, (tx) => applySchema(tx, catalogSchema));
  for (const name of ["many", "few"]) sql.exec("INSERT INTO repositories (name) VALUES (?)", name);
  const counts = new CountStore(sql);
  const report = (repository: string, tags: string[], now: number) =>
    counts.add(
      {
        id: crypto.randomUUID(),
        counters: [],
        uploads: [],
        pulls: tags.map((tag) => ({ repository, tag, pulls: 1 })),
      },
      now,
    );
  report("few", ["v1"], 1);
  for (let batch = 0; batch < 30; batch++) {
    report(
      "many",
      Array.from({ length: 100 }, (_, tag) => `${batch}-${tag}`),
      10 + batch,
    );
    report("many", ["latest"], 10 + batch);
  }
  const tags = counts.tagPulls("many", 10_000).map(({ tag }) => tag);
  assert.equal(tags.length, 1000);
  assert.equal(tags[0], "latest");
  assert(tags.includes("29-99") && tags.includes("21-0") && !tags.includes("19-0"));
  assert.deepEqual(
    counts.tagPulls("few", 10).map(({ tag }) => tag),
    ["v1"],
  );
  assert.equal(
    counts.repositories(1).mostPulled[0]?.pulls,
    3030,
    "the pulls of the repository are all counted",
  );
});
