import assert from "node:assert/strict";
import test from "node:test";
import type { Registry } from "../../src/registry/registry.ts";
import { listRepositories } from "../../src/registry/repositories.ts";
import type { ListedRepository } from "../../src/rpc/api.ts";

/** A catalog of so many private repositories, and a public one after them. */
function registryOf(privates: number): Registry {
  const names = Array.from({ length: privates }, (_, index) => `m/r${String(index).padStart(6, "0")}`);
  const all = [...names, "zzz/public"].map((name) => {
    return { name, visibility: name.startsWith("z") ? "public" : "private", description: "" };
  }) as ListedRepository[];
  const listed = async (_: string, last: string, limit: number) => {
    const rest = all.filter(({ name }) => name > last);
    return { entries: rest.slice(0, limit), more: rest.length > limit };
  };
  return { catalog: () => ({ listRepositories: listed }) } as unknown as Registry;
}

const page = (registry: Registry, last: string, limit = 100) =>
  listRepositories(registry, "", { last, limit }, () => false);

test("who may see few repositories gets to them, over pages that may be empty", async () => {
  const registry = registryOf(45_000);
  const found: string[] = [];
  let pages = 0;
  for (let last: string | undefined = ""; last !== undefined; pages++) {
    const { entries, more, last: next }: Awaited<ReturnType<typeof page>> = await page(registry, last);
    found.push(...entries.map(({ name }) => name));
    assert.equal(more, next !== undefined);
    last = next;
  }
  assert.deepEqual([found, pages], [["zzz/public"], 3]);
});

test("a page of none has none after it", async () => {
  assert.deepEqual(await page(registryOf(0), "", 0), { entries: [], more: true, last: undefined });
});
