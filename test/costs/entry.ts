/**
 * The Worker with everything counted that it asks of its bindings, and what its objects ask of theirs and of their
 * tables. Alarms do nothing: what is done later is not part of a request.
 *
 * | request             | what it does                                                                       |
 * | ------------------- | ---------------------------------------------------------------------------------- |
 * | `/_test/cold`       | makes the Worker forget all that it keeps in memory, as a new isolate would         |
 * | `/_test/hold`       | stops the clock: nothing becomes due any more, as a report does in half a minute    |
 * | `/_test/spent`      | what was spent since it was asked last, once nothing is in flight any more         |
 * | `/_test/statements` | every statement that the objects ran, with the plan that SQLite made for it        |
 */

import type { Env } from "../../src/bindings.ts";
import { systemClock } from "../../src/clock.ts";
import { ShardStore } from "../../src/objects/blob-shard/store.ts";
import { BlobShard as RealBlobShard } from "../../src/objects/blob-shard.ts";
import { Catalog as RealCatalog } from "../../src/objects/catalog.ts";
import { DueTable } from "../../src/objects/due.ts";
import { Fetch as RealFetch } from "../../src/objects/fetch.ts";
import { Ledger as RealLedger } from "../../src/objects/ledger.ts";
import { NameStore, nameIndexSchema } from "../../src/objects/name-index/store.ts";
import { NameIndex as RealNameIndex } from "../../src/objects/name-index.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { scheduleScrub } from "../../src/objects/scrub/schedule.ts";
import { Search as RealSearch } from "../../src/objects/search.ts";
import { transaction } from "../../src/objects/sql.ts";
import { Upload as RealUpload } from "../../src/objects/upload.ts";
import { Upstream as RealUpstream } from "../../src/objects/upstream.ts";
import { Webhooks as RealWebhooks } from "../../src/objects/webhooks.ts";
import { parseSettings } from "../../src/settings/settings.ts";
import worker from "../../src/worker.ts";
import { CallCounter } from "../support/call-counter.ts";
import { holdClock } from "../support/moved-clock.ts";
import { SqlMeter } from "./sql-meter.ts";

export { WebhookQueue } from "../../src/objects/webhook-queue.ts";

const calls = new CallCounter();
const rows = new SqlMeter();

/** What objects do after they have answered. */
const afterwards = new Set<Promise<unknown>>();

/** Counts what an object writes, from now on, and waits for what it does after its answers. */
function watch(owner: string, ctx: DurableObjectState): void {
  rows.watch(owner, ctx.storage);
  const waitUntil = ctx.waitUntil.bind(ctx);
  const watched = (work: Promise<unknown>) => {
    afterwards.add(work);
    const end = () => void afterwards.delete(work);
    work.then(end, end);
    waitUntil(work);
  };
  Object.defineProperty(ctx, "waitUntil", { value: watched });
}

export class Repository extends RealLedger {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Repository", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Upload extends RealUpload {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Upload", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Blobs extends RealBlobShard {
  constructor(ctx: DurableObjectState, env: Env) {
    // A shard makes its tables, and begins to scrub, once in its life: that is no cost of the push that comes first.
    const due = new DueTable(ctx.storage, systemClock);
    transaction(ctx.storage, (tx) => {
      new ShardStore(ctx.storage).create(tx);
      scheduleScrub(tx, { due, clock: systemClock, settings: parseSettings(env) });
    });
    due.arm();
    watch("Blobs", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Fetch extends RealFetch {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Fetch", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Upstream extends RealUpstream {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Upstream", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Catalog extends RealCatalog {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Catalog", ctx);
    super(ctx, calls.wrap(env));
  }
}

export class NameIndex extends RealNameIndex {
  constructor(ctx: DurableObjectState, env: Env) {
    // It fills itself once in its life, from the catalog.
    transaction(ctx.storage, (tx) => {
      applySchema(tx, nameIndexSchema);
      new NameStore(ctx.storage.sql).setFilled(tx, true);
    });
    watch("NameIndex", ctx);
    super(ctx, calls.wrap(env));
  }

  override async alarm(): Promise<void> {}
}

export class Search extends RealSearch {
  override async alarm(): Promise<void> {}
}

export class Webhooks extends RealWebhooks {
  constructor(ctx: DurableObjectState, env: Env) {
    watch("Webhooks", ctx);
    super(ctx, calls.wrap(env));
  }
}

/**
 * Twice in a row nothing is in flight: what follows on a call begins in the turn in which it ends. Nor is anything left
 * that objects do after their answers.
 */
async function settle(): Promise<void> {
  for (let idle = 0; idle < 2; idle++) {
    await scheduler.wait(1);
    if (calls.isBusy || afterwards.size > 0) idle = -1;
  }
}

let isolate: Env | undefined;

export default {
  fetch: async (request, env, context) => {
    switch (new URL(request.url).pathname) {
      case "/_test/cold":
        isolate = undefined;
        return new Response();
      case "/_test/hold":
        holdClock();
        return new Response();
      case "/_test/spent":
        await settle();
        return Response.json({ calls: calls.take(), mostAtOnce: calls.takeMostAtOnce(), ...rows.take() });
      case "/_test/statements":
        return Response.json(rows.statements());
    }
    isolate ??= calls.wrap(env);
    return worker.fetch(request, isolate, context);
  },
} satisfies ExportedHandler<Env>;
