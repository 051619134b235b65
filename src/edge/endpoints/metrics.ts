/** `/metrics`: what was counted, for Prometheus. */
import { expose, expositionType } from "../../metrics/exposition.ts";
import { meter, type Sample } from "../../metrics/meter.ts";
import { countLedgers, countStorage, countWebhooks } from "../../registry/monitoring.ts";
import { version } from "../../version.ts";
import type { Answer, Context } from "../context.ts";

const build: Sample = { family: "stowage_build_info", labels: [version], value: 1 };

/**
 * The release and the metrics of the objects. On one machine, where one isolate answers every request, also the counts
 * of requests. Deployed, there are many isolates, and the counts of any one of them would mean nothing.
 */
export async function metrics({ registry, waitUntil }: Context): Promise<Answer> {
  const reporting = registry.reportCounts();
  // If the scraper leaves, what was taken for the report is still sent, or taken back.
  waitUntil(reporting);
  await reporting;
  const kept = await Promise.all([
    registry.catalog().counts(),
    countWebhooks(registry),
    countStorage(registry),
    countLedgers(registry),
  ]);
  const own =
    registry.settings.metricsScope === "process" ? meter.samples() : { samples: [], distributions: [] };
  return {
    status: 200,
    headers: { "Content-Type": expositionType },
    body: expose([build, ...own.samples, ...kept.flat()], own.distributions),
  };
}
