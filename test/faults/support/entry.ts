/**
 * The Worker that runs programs: POST a {@link Program}, and the answer is its {@link Verdict}.
 *
 * A program's clients are in here too, and call the real `fetch` of each location directly: a request costs no
 * connection, so that hundreds of programs take seconds.
 */
import type { Env } from "../../../src/bindings.ts";
import { BlobShard as RealBlobShard } from "../../../src/objects/blob-shard.ts";
import { Catalog as RealCatalog } from "../../../src/objects/catalog.ts";
import { Fetch as RealFetch } from "../../../src/objects/fetch.ts";
import { Ledger as RealLedger } from "../../../src/objects/ledger.ts";
import { NameIndex as RealNameIndex } from "../../../src/objects/name-index.ts";
import { Upload as RealUpload } from "../../../src/objects/upload.ts";
import { Upstream as RealUpstream } from "../../../src/objects/upstream.ts";
import { abridged } from "./location.ts";
import { type ObjectCommand, obey } from "./objects.ts";
import type { Program } from "./program.ts";
import { runProgram } from "./runner.ts";
import { World } from "./world.ts";

export { Search } from "../../../src/objects/search.ts";
export { WebhookQueue } from "../../../src/objects/webhook-queue.ts";
export { Webhooks } from "../../../src/objects/webhooks.ts";

/** The world whose program runs. Its objects are made while it does, and stay with it. */
let world: World | undefined;

/** The bindings of an object, of which the world notes when it is to be woken. */
function objectEnv(ctx: DurableObjectState, env: Env): Env {
  world?.objects.noteAlarm(ctx);
  return world?.objectEnv ?? env;
}

// What the registry logs belongs to the trace of the program.
for (const level of ["log", "warn", "error"] as const) {
  console[level] = (line: unknown) => world?.trace.push(`  log: ${abridged(String(line))}`);
}

export class Repository extends RealLedger {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env), world?.ledgerClock);
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class Catalog extends RealCatalog {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class Fetch extends RealFetch {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class Upstream extends RealUpstream {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class NameIndex extends RealNameIndex {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class Upload extends RealUpload {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export class Blobs extends RealBlobShard {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, objectEnv(ctx, env));
  }

  command(command: ObjectCommand): Promise<void> {
    return obey(this.ctx, this, command);
  }
}

export default {
  async fetch(request, env, context) {
    const program = await request.json<Program>();
    world = new World(env, program);
    return Response.json(await runProgram(world, program, (promise) => context.waitUntil(promise)));
  },
} satisfies ExportedHandler<Env>;
