/** A registry whose clock tests move, whose alarms they run, and whose bucket they make fail. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { InstanceOptions } from "../../src/local/instance.ts";
import { fetchOnce } from "./client.ts";
import { serve, type TestRegistry } from "./registry.ts";

export const hourMs = 3_600_000;

type Binding = "REPOSITORY" | "UPLOAD" | "BLOB_SHARDS" | "WEBHOOKS" | "WEBHOOK_QUEUES";

export type TimedRegistry = {
  registry: TestRegistry;
  /** Moves the clock of the Worker and its objects forward. No alarm runs by itself for that. */
  advance(milliseconds: number): Promise<void>;
  /** Runs an object's alarm: whatever is due in it is done. */
  runAlarm(binding: Binding, name: string): Promise<void>;
  /** Makes the bucket fail in the next operation of this name, before or after it did its work. */
  failNext(operation: string, when: "before" | "after"): Promise<void>;
  /** Lets the ledgers and shards do all that is due about these digests. */
  collect(repositories: string[], digests: string[]): Promise<void>;
};

/** Starts one, with its clock at the present. It ends after the tests of the file. */
export async function serveTimed(options: InstanceOptions = {}): Promise<TimedRegistry> {
  const registry = await serve({ entry: join(import.meta.dirname, "worker.ts"), ...options });
  const control = async (path: string) => {
    const response = await fetchOnce(`${registry.url}/.test/${path}`, { method: "POST" });
    assert.equal(response.status, 204, await response.text());
  };
  const runAlarm = (binding: Binding, name: string) =>
    control(`alarm/${binding}/${encodeURIComponent(name)}`);
  return {
    registry,
    advance: (milliseconds) => control(`clock/${milliseconds}`),
    runAlarm,
    failNext: (operation, when) => control(`fault/${operation}/${when}`),
    collect: async (repositories, digests) => {
      const shards = new Set(digests.map((digest) => digest.slice(digest.indexOf(":") + 1).slice(0, 2)));
      // The ledgers tell the shards what they gave up, and these ask the ledgers.
      for (const name of repositories) await runAlarm("REPOSITORY", name);
      for (const name of shards) await runAlarm("BLOB_SHARDS", name);
    },
  };
}

/** The id of the `Upload` object of a session. */
export function uploadId(location: string): string {
  const [id] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(location) ?? [];
  assert(id !== undefined, location);
  return id;
}
