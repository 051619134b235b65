/** How the webhooks fare, as samples: each queue is asked. */
import type { Sample } from "../metrics/meter.ts";
import type { Registry } from "./registry.ts";

/** The samples of all webhooks. A queue that does not answer has none. */
export async function countWebhooks(registry: Registry): Promise<Sample[]> {
  const webhooks = await registry.webhooks().listWebhooks();
  const counted = await Promise.all(
    webhooks.map(async ({ id }) => {
      try {
        return await countQueue(registry, id);
      } catch (error) {
        console.warn(JSON.stringify({ event: "webhook not counted", webhook: id, error: String(error) }));
        return [];
      }
    }),
  );
  return counted.flat();
}

async function countQueue(registry: Registry, id: string): Promise<Sample[]> {
  const { waiting, deadLetters, tries } = await registry.webhookQueue(id).counts();
  return [
    ...Object.entries(tries).map(
      ([outcome, value]): Sample => ({
        family: "stowage_webhook_deliveries_total",
        labels: [id, outcome],
        value,
      }),
    ),
    { family: "stowage_webhook_events_waiting", labels: [id], value: waiting },
    { family: "stowage_webhook_dead_letters", labels: [id], value: deadLetters },
  ];
}
