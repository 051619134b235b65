/** The Worker as it is exported, with a ledger whose alarm tests set off. */
import { Repository as Exported } from "../../src/worker.ts";

export {
  Blobs,
  Catalog,
  Fetch,
  NameIndex,
  Search,
  Upload,
  Upstream,
  WebhookQueue,
  Webhooks,
} from "../../src/worker.ts";

type Bindings = ConstructorParameters<typeof Exported>[1];

export class Repository extends Exported {
  /** Runs the alarm twice, as the platform may, and returns when the next one comes. */
  async ring(): Promise<number | null> {
    await this.ctx.storage.deleteAlarm();
    await this.alarm?.();
    await this.alarm?.({ isRetry: true, retryCount: 1, scheduledTime: 0 });
    return this.ctx.storage.getAlarm();
  }
}

import worker from "../../src/worker.ts";

export default {
  async fetch(request, env, context) {
    const [, action, name = ""] = new URL(request.url).pathname.split("/", 3).map(decodeURIComponent);
    if (action !== ".ring") return worker.fetch(request, env, context);
    const ledger = (env.LEDGERS as unknown as DurableObjectNamespace<Repository>).getByName(name);
    return Response.json(await ledger.ring());
  },
} satisfies ExportedHandler<Bindings>;
