/** What the objects know of themselves, in the metrics. */
import assert from "node:assert/strict";
import test from "node:test";
import { imageIndexType } from "../../src/oci/media-type.ts";
import { content, encode, imageIndex } from "../support/content.ts";
import { until } from "../support/registry.ts";
import { parseMetrics, seriesValue } from "../support/scrape.ts";
import { accept, startSink } from "../support/sink.ts";
import { hourMs, startTimedRegistry, uploadId } from "../support/timed-registry.ts";

const { registry, advance, runAlarm, failNext, collect } = await startTimedRegistry({
  vars: { WEBHOOK_ALLOW_PRIVATE: "yes", EVENT_QUIET: "0s" },
});

const scrape = async () => parseMetrics((await registry.must(200, "GET", "/metrics")).text);

async function values(name: string, label: string, expected: string[]): Promise<number[]> {
  const scraped = await scrape();
  return expected.map((value) => seriesValue(scraped, name, { [label]: value }));
}

const pushIndex = (repository: string, tag: string) =>
  registry.pushManifest(
    repository,
    tag,
    imageIndex([], { annotations: { id: crypto.randomUUID() } }),
    imageIndexType,
  );

test("uploads are open from their first chunk to their end, or until nobody came back to them", async () => {
  const open = async () => seriesValue(await scrape(), "stowage_uploads_open");
  const begin = async () => registry.patch(await registry.openUpload("uploads"), content());
  const [cancelled, expired, lost] = [await begin(), await begin(), await begin()];
  assert.equal(await open(), 3);
  await registry.must(204, "DELETE", cancelled);
  assert.equal(await open(), 2);
  await advance(23 * hourMs);
  const renewed = await registry.patch(lost, content());
  assert.equal(await open(), 2);
  await advance(2 * hourMs);
  await runAlarm("UPLOADS", uploadId(expired));
  assert.equal(await open(), 1);
  // One whose end was never reported is counted for no longer than it could have lived.
  await advance(24 * hourMs);
  assert.equal(await open(), 0);
  await runAlarm("UPLOADS", uploadId(renewed));
});

test("what collection freed is counted in objects and bytes, by reason", async () => {
  const digests = [
    await registry.pushBlob("freed", content(1000)),
    await registry.streamBlob("freed", content(500)),
  ];
  const reason = "no repository holds it";
  const before = await scrape();
  for (let round = 0; round < 3; round++) {
    await advance(25 * hourMs);
    await collect(["freed"], digests);
  }
  const after = await scrape();
  const grown = (name: string, labels: Record<string, string>) =>
    seriesValue(after, name, labels) - seriesValue(before, name, labels);
  const unlinked = { what: "blob", reason: "nothing referenced it for GC_GRACE" };
  assert.equal(grown("stowage_deletions_total", unlinked), 2);
  assert.equal(grown("stowage_deletions_total", { what: "blob bytes", reason }), 2);
  assert.equal(grown("stowage_freed_bytes_total", { reason }), 1500);
});

test("what a ledger cannot hand over is counted, with its age, until it is handed over", async () => {
  const outboxes = ["replica", "events"];
  const entries = () => values("stowage_outbox_entries", "outbox", outboxes);
  await failNext("replica.put", "before");
  await failNext("webhooks.accept", "before");
  await pushIndex("behind", "v1");
  // The manifest's row or the tag's.
  await until("the other row", async () => (await registry.replicaKeys()).some((key) => /behind/.test(key)));
  await advance(1000);
  await runAlarm("LEDGERS", "behind");
  assert.deepEqual(await entries(), [0, 0], "a failure that is over in a moment is not told");
  await failNext("replica.put", "before");
  await failNext("webhooks.accept", "before");
  await advance(11_000);
  await runAlarm("LEDGERS", "behind");
  // A repository and a tag came to be, and a manifest.
  assert.deepEqual(await entries(), [1, 3]);
  await advance(30_000);
  const ages = await values("stowage_outbox_age_seconds", "outbox", outboxes);
  assert(ages.every((age) => age >= 30 && age < 60));
  await advance(60_000);
  await runAlarm("LEDGERS", "behind");
  assert.deepEqual(await entries(), [0, 0]);
  assert.deepEqual(await values("stowage_outbox_age_seconds", "outbox", outboxes), [0, 0]);
});

test("deliveries are counted by webhook and outcome, with what waits and what was given up", async () => {
  const sink = await startSink((response) => void response.writeHead(500).end());
  const body = encode({ url: sink.url, events: ["manifest.push"], repository: "told" });
  const { id } = (await registry.must(201, "POST", "/api/v1/webhooks", { body })).json<{ id: string }>();
  const state = async () => {
    const scraped = await scrape();
    const tries = (outcome: string) =>
      seriesValue(scraped, "stowage_webhook_deliveries_total", { webhook: id, outcome });
    return {
      failed: tries("failed"),
      delivered: tries("delivered"),
      waiting: seriesValue(scraped, "stowage_webhook_events_waiting", { webhook: id }),
      dead: seriesValue(scraped, "stowage_webhook_dead_letters", { webhook: id }),
    };
  };
  assert.deepEqual(await state(), { failed: 0, delivered: 0, waiting: 0, dead: 0 });
  for (const tag of ["one", "two"]) await pushIndex("told", tag);
  await until("both events", async () => (await state()).waiting === 2);
  await until("the failure", async () => (await state()).failed > 0);
  sink.behave(accept);
  const { failed } = await state();
  await advance(hourMs);
  await runAlarm("WEBHOOK_QUEUES", id);
  await until("both", async () => (await state()).delivered === 2);
  assert.deepEqual(await state(), { failed, delivered: 2, waiting: 0, dead: 0 });
});

test("where isolates come and go, metrics have no counts of one of them", async () => {
  const names = async ({ registry: asked }: Awaited<ReturnType<typeof startTimedRegistry>>) => {
    await asked.must(200, "GET", "/v2/");
    return [...parseMetrics((await asked.must(200, "GET", "/metrics")).text).metrics.keys()];
  };
  const many = await names(await startTimedRegistry({ vars: { METRICS_SCOPE: "registry" } }));
  assert(!many.includes("stowage_requests_total"));
  assert(many.includes("stowage_uploads_open"));
  assert((await names(await startTimedRegistry())).includes("stowage_requests_total"));
});
