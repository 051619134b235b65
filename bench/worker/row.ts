/** The least that a Worker can do which asks one Durable Object for one row. */
import { DurableObject } from "cloudflare:workers";

type RowEnv = { ROW: DurableObjectNamespace<RowObject> };

/** Holds one row. */
export class RowObject extends DurableObject<RowEnv> {
  constructor(ctx: DurableObjectState, env: RowEnv) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, value TEXT)");
    ctx.storage.sql.exec("INSERT OR IGNORE INTO rows VALUES (1, 'hello')");
  }

  async row(): Promise<string> {
    return this.ctx.storage.sql.exec<{ value: string }>("SELECT value FROM rows WHERE id = 1").one().value;
  }
}

export default {
  fetch: async (_, env) => new Response(await env.ROW.getByName("row").row()),
} satisfies ExportedHandler<RowEnv>;
