/**
 * Objects without a runtime: for tests of what one object does while another answers slowly, or of more rows than a test
 * over HTTP can make. To be imported before {@link import} of a class of `src/objects/`.
 */
import { registerHooks } from "node:module";
import { memoryStorage } from "./sqlite.ts";

const runtime = `export class DurableObject {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}`;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "cloudflare:workers"
      ? { url: `data:text/javascript,${encodeURIComponent(runtime)}`, shortCircuit: true }
      : next(specifier, context),
});

/** What an object without a runtime is constructed with, and what it leaves to be done after its answers. */
export function memoryContext() {
  const pending: Promise<unknown>[] = [];
  const memory = memoryStorage();
  const storage: DurableObjectStorage = Object.assign(memory, {
    getAlarm: async () => null,
    setAlarm: async () => {},
    deleteAlarm: async () => {},
    sync: async () => {},
    deleteAll: async () => {
      const tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
      for (const { name } of memory.sql.exec(tables).toArray()) memory.sql.exec(`DROP TABLE ${name}`);
    },
  });
  const ctx = { storage, waitUntil: (work: Promise<unknown>) => void pending.push(work) };
  return {
    ctx: ctx as unknown as DurableObjectState,
    storage,
    /** Waits for all that was left to be done. */
    settle: async () => {
      while (pending.length > 0) await pending.shift();
    },
  };
}
