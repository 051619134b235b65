/**
 * The Worker as it is, with a clock that tests move, alarms that they run, and a bucket, KV and calls between objects
 * that fail or wait when they say so.
 *
 * POST /.test/clock/<milliseconds> moves the clock forward; POST /.test/alarm/<binding>/<name> runs an alarm now;
 * POST /.test/alarm-at/LEDGERS/<name> answers when an alarm comes;
 * POST /.test/buffers answers how much memory for parts the isolate has held at most;
 * POST /.test/crash/<binding>/<name> ends an `Upload` or `Fetch`, with whatever is under way in it;
 * POST /.test/reread/<name>/<milliseconds> lets a ledger read its manifests again in a while, as after an upgrade;
 * POST /.test/fault/<operation>/<before or after> makes the next such operation fail;
 * POST /.test/unreadable/<key>/<yes or no> says whether reads of a key fail, `*`: of all keys;
 * POST /.test/hold/<operation>/<before or after> makes it wait, POST /.test/held/<operation> answers whether it does,
 * and POST /.test/let-go/<operation>/<let-go or lost> ends that;
 * POST /.test/call/<binding>/<name>/<method>, with the arguments as a JSON array, calls an object as another one would.
 */
import { BlobShard as RealBlobShard } from "../../src/objects/blob-shard.ts";
import { Catalog as RealCatalog } from "../../src/objects/catalog.ts";
import { Fetch as RealFetch } from "../../src/objects/fetch.ts";
import { rereadJob } from "../../src/objects/ledger/reread.ts";
import { Ledger as RealLedger } from "../../src/objects/ledger.ts";
import { NameIndex as RealNameIndex } from "../../src/objects/name-index.ts";
import { transaction } from "../../src/objects/sql.ts";
import { partBufferPeak } from "../../src/objects/upload/part-buffers.ts";
import { Upload as RealUpload } from "../../src/objects/upload.ts";
import { Upstream as RealUpstream } from "../../src/objects/upstream.ts";
import { WebhookQueue as RealWebhookQueue } from "../../src/objects/webhook-queue.ts";
import { Webhooks as RealWebhooks } from "../../src/objects/webhooks.ts";
import worker from "../../src/worker.ts";
import { addFault, setUnreadable, withFaults } from "./faulty-bucket.ts";
import { type Ending, hold, isHeld, letGo, type Moment } from "./held-calls.ts";
import { moveClock } from "./moved-clock.ts";

type Bindings = Parameters<NonNullable<(typeof worker)["fetch"]>>[1];
type HasAlarm = { alarm(): Promise<void> };

async function runAlarm(ctx: DurableObjectState, object: HasAlarm): Promise<void> {
  await ctx.storage.deleteAlarm();
  await object.alarm();
}

/** Has an object die, with whatever is under way in it. What it has written so far is kept. */
async function crash(ctx: DurableObjectState): Promise<void> {
  await ctx.storage.sync();
  ctx.abort("crashed");
}

export class Repository extends RealLedger {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  alarmAt(): Promise<number | null> {
    return this.ctx.storage.getAlarm();
  }

  async rereadIn(milliseconds: number): Promise<void> {
    const at = this.parts.clock.now() + milliseconds;
    transaction(this.ctx.storage, (tx) => this.parts.due.set(tx, rereadJob, "", at));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Upload extends RealUpload {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  crash(): Promise<void> {
    return crash(this.ctx);
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Blobs extends RealBlobShard {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Catalog extends RealCatalog {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class NameIndex extends RealNameIndex {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Fetch extends RealFetch {
  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, withFaults(env));
  }

  crash(): Promise<void> {
    return crash(this.ctx);
  }

  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Upstream extends RealUpstream {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export class Webhooks extends RealWebhooks {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

export { Search } from "../../src/objects/search.ts";

export class WebhookQueue extends RealWebhookQueue {
  runAlarm(): Promise<void> {
    return runAlarm(this.ctx, this);
  }
}

async function control(url: URL, env: Bindings, body: string): Promise<unknown> {
  const [, , action, subject = "", name = "", method = ""] = url.pathname.split("/").map(decodeURIComponent);
  switch (action) {
    case "buffers":
      return partBufferPeak();
    case "clock":
      return moveClock(Number(subject));
    case "fault":
      return addFault({ operation: subject, when: name as Moment, times: 1 });
    case "unreadable":
      return setUnreadable(subject, name === "yes");
    case "hold":
      return hold(subject, name as Moment);
    case "held":
      return isHeld(subject);
    case "let-go":
      return letGo(subject, name as Ending);
    case "alarm": {
      const namespace = env[subject as "UPLOADS"] as unknown as DurableObjectNamespace<Upload>;
      return namespace.getByName(name).runAlarm();
    }
    case "crash": {
      const namespace = env[subject as "UPLOADS"] as unknown as DurableObjectNamespace<Upload>;
      return namespace
        .getByName(name)
        .crash()
        .catch(() => {});
    }
    case "alarm-at": {
      const namespace = env[subject as "LEDGERS"] as unknown as DurableObjectNamespace<Repository>;
      return namespace.getByName(name).alarmAt();
    }
    case "call": {
      const stub = (env[subject as "UPLOADS"] as DurableObjectNamespace).getByName(name);
      const remote: unknown = Reflect.get(stub, method);
      return Reflect.apply(remote as (...args: unknown[]) => unknown, stub, JSON.parse(body));
    }
    case "reread": {
      const namespace = env.LEDGERS as unknown as DurableObjectNamespace<Repository>;
      return namespace.getByName(subject).rereadIn(Number(name));
    }
    default:
      throw new Error(`there is no ${action}`);
  }
}

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (!url.pathname.startsWith("/.test/")) return worker.fetch(request, withFaults(env), context);
    return Response.json((await control(url, env, await request.text())) ?? null);
  },
} satisfies ExportedHandler<Bindings>;
