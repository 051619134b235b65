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
  const secret = new Uint8Array(32).fill(7);
  return {
    catalog: () => ({ listRepositories: listed }),
    sessionSecret: async () => secret,
  } as unknown as Registry;
}

async function page(registry: Registry, last: string, limit = 100) {
  const listed = await listRepositories(registry, "", { last, limit }, () => false);
  assert(listed.ok);
  const { ok: _, ...found } = listed;
  return found;
}

test("who may see few repositories gets to them, over pages that may be empty", async () => {
  const registry = registryOf(45_000);
  const found: string[] = [];
  const cursors = new Set<number | undefined>();
  let pages = 0;
  for (let last: string | undefined = ""; last !== undefined; pages++) {
    const { entries, more, last: next }: Awaited<ReturnType<typeof page>> = await page(registry, last);
    found.push(...entries.map(({ name }) => name));
    assert.equal(more, next !== undefined);
    if (next !== undefined) assert.doesNotMatch(Buffer.from(next, "base64url").toString(), /m\/r\d/);
    cursors.add(next?.length);
    last = next;
  }
  assert.deepEqual([found, pages], [["zzz/public"], 3]);
  assert.equal(cursors.size, 2, "one length of cursors, and none at the end");
});

test("a page of none has none after it", async () => {
  assert.deepEqual(await page(registryOf(0), "", 0), { entries: [], more: true, last: undefined });
});

test("a page begins after any name, and where a cursor says, but after no cursor that was changed", async () => {
  const registry = registryOf(20_001);
  const { last = "" } = await page(registry, "");
  assert.match(last, /^~[A-Za-z0-9_-]+$/);
  assert.deepEqual((await page(registry, last)).entries.length, 1);
  assert.deepEqual((await page(registry, "m/r020000")).entries.length, 1);
  assert.deepEqual((await page(registry, "zzz/public")).entries, []);
  const changed = `${last.slice(0, -5)}AAAAA`;
  for (const wrong of [changed, "~", "~m/r020000", last.slice(0, 40)]) {
    const listed = await listRepositories(registry, "", { last: wrong, limit: 1 }, () => false);
    assert.equal(listed.ok ? "" : listed.error, "PAGE_INVALID", wrong);
  }
});
