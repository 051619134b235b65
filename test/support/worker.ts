/**
 * The Worker as it is, with a clock that tests move, alarms that they run, and a bucket that fails when they say so.
 *
 * POST /.test/clock/<milliseconds> moves the clock forward; POST /.test/alarm/<binding>/<name> runs an alarm now;
 * POST /.test/fault/<operation>/<before or after> makes the bucket fail in the next such operation.
 */
import { Blobs as RealBlobs } from "../../src/objects/blobs.ts";
import { Repository as RealRepository } from "../../src/objects/repository.ts";
import { Upload as RealUpload } from "../../src/objects/upload.ts";
import { WebhookQueue as RealWebhookQueue } from "../../src/objects/webhook-queue.ts";
import { Webhooks as RealWebhooks } from "../../src/objects/webhooks.ts";
import worker from "../../src/worker.ts";
import { addFault, type Fault, withFaults } from "./faulty-bucket.ts";
import { moveClock } from "./moved-clock.ts";

export { Catalog } from "../../src/objects/catalog.ts";

type Bindings = Parameters<NonNullable<(typeof worker)["fetch"]>>[1];
type HasAlarm = { alarm(): Promise<void> };

async function runAlarm(ctx: DurableObjectState, object: HasAlarm): Promise<void> {
  await ctx.storage.deleteAlarm();
  await object.alarm();
}

export class Repository extends RealRepository {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Upload extends RealUpload {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Blobs extends RealBlobs {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Webhooks extends RealWebhooks {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class WebhookQueue extends RealWebhookQueue {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

async function control(url: URL, env: Bindings): Promise<void> {
  const [, , action, subject = "", name = ""] = url.pathname.split("/").map(decodeURIComponent);
  if (action === "clock") moveClock(Number(subject));
  if (action === "fault") addFault({ operation: subject, when: name as Fault["when"], times: 1 });
  if (action !== "alarm") return;
  const namespace = env[subject as "UPLOAD"] as unknown as DurableObjectNamespace<Upload>;
  await namespace.getByName(name).runAlarm();
}

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (!url.pathname.startsWith("/.test/")) return worker.fetch(request, withFaults(env), context);
    await control(url, env);
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Bindings>;
