/** Shared by the handlers of webhooks and of their dead letters. */

import { failure, type Result } from "../../../oci/errors.ts";
import type { Registry } from "../../../registry/registry.ts";
import type { Webhook } from "../../../rpc/webhooks-api.ts";

/** The webhook of an id. Error: `WEBHOOK_UNKNOWN`. */
export async function findWebhook(registry: Registry, id: string): Promise<Result<{ webhook: Webhook }>> {
  const webhook = await registry.webhooks().webhook(id);
  return webhook === undefined ? failure("WEBHOOK_UNKNOWN") : { ok: true, webhook };
}

/** The host of a webhook's URL, for logs. The path or query of the URL may contain a secret. */
export function hostOf({ url }: Webhook): string {
  return new URL(url).host;
}
