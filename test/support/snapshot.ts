/** What a registry holds, for tests that something leaves it unchanged. */
import assert from "node:assert/strict";
import { type TestRegistry, until } from "./registry.ts";

export type Snapshot = {
  blobKeys: string[];
  replicaKeys: string[];
  repositories: string[];
  tags: Record<string, string[]>;
};

/** All keys in R2 and KV, all repositories, and their tags. */
async function takeSnapshot(registry: TestRegistry): Promise<Snapshot> {
  const catalog = await registry.must(200, "GET", "/v2/_catalog");
  const { repositories } = catalog.json<{ repositories: string[] }>();
  const tags: Record<string, string[]> = {};
  for (const name of repositories) {
    const list = await registry.must(200, "GET", `/v2/${name}/tags/list`);
    tags[name] = list.json<{ tags: string[] }>().tags;
  }
  const replicaKeys = await registry.replicaKeys();
  return { blobKeys: registry.stored.blobKeys(), replicaKeys, repositories, tags };
}

/** Runs what must leave the registry as it is. */
export async function leavesUnchanged<T>(registry: TestRegistry, action: () => Promise<T>): Promise<T> {
  const before = await takeSnapshot(registry);
  const result = await action();
  assert.deepEqual(await takeSnapshot(registry), before);
  return result;
}

/** Waits until the replica, if there is one, has this many rows. */
export async function replicaHas(registry: TestRegistry, rows: number): Promise<void> {
  if (!registry.hasReplica) return;
  await until(`${rows} replica rows`, async () => (await registry.replicaKeys()).length === rows);
}
