import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { costDocument } from "../../bench/cost/document.ts";
import { billFor, total } from "../../bench/cost/prices.ts";
import { pullScenarios, pushScenarios } from "../../bench/cost/scenarios.ts";

test("docs/cost.md says what the table of operations and the prices say", () => {
  const written = readFileSync(join(import.meta.dirname, "..", "..", "docs", "cost.md"), "utf8");
  assert.equal(written, costDocument(), "npm run cost writes it anew");
});

test("a million pulls of five layers by tag cost no more than seven dollars", () => {
  const [byTag, throughIndex] = pullScenarios();
  assert(byTag !== undefined && throughIndex !== undefined);
  for (const scenario of [byTag, throughIndex]) assert(total(billFor(scenario)) <= 7, scenario.does);
});

test("every call has its price", () => {
  const bill = (call: string) => {
    const { worker: _, ...parts } = billFor({ requests: 0, calls: { [call]: 1 }, rowsWritten: 0 });
    return Object.fromEntries(Object.entries(parts).filter(([, dollars]) => dollars > 0));
  };
  assert.deepEqual(bill("MANIFESTS.get"), { kv: 0.5 });
  assert.deepEqual(bill("MANIFESTS.delete"), { kv: 5 });
  assert.deepEqual(bill("BLOBS.head"), { r2: 0.36 });
  assert.deepEqual(bill("BLOBS.uploadPart"), { r2: 4.5 });
  assert.deepEqual(bill("BLOBS.delete"), {});
  assert.deepEqual(Object.keys(bill("UPLOADS.fetch")), ["objects"]);
});

test("a push of a config and five layers writes no more than 200 rows, however it is sent", () => {
  const [whole, streamed] = pushScenarios();
  assert(whole !== undefined && streamed !== undefined);
  for (const { does, rowsWritten } of [whole, streamed])
    assert(rowsWritten <= 200, `${does}: ${rowsWritten}`);
});
