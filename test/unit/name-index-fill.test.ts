/** How a part of the index of names fills itself from the catalog's list. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { memoryContext } from "../support/durable-objects.ts";
import { getOn } from "../support/get-on.ts";
import { namespaceOf } from "../support/namespace.ts";

const { NameIndex } = await import("../../src/objects/name-index.ts");

const nameOf = (index: number) => `team/${String(index).padStart(4, "0")}` as RepositoryName;
const machine = JSON.stringify({ blobShards: 1, uploadPools: 1, nameIndexes: 1 });
const absent = "team/none" as RepositoryName;

/** The only part of an index, and a catalog that lists so many repositories, once a call of it may go on. */
function indexOf(count: number) {
  const names = Array.from({ length: count }, (_, index) => ({ name: nameOf(index), isPublic: false }));
  const pages: string[] = [];
  const held: (() => void)[] = [];
  const catalog = {
    isHeld: false,
    repositoryNames: async (after: string, limit: number) => {
      pages.push(after);
      if (catalog.isHeld) await new Promise<void>((resolve) => held.push(resolve));
      const left = names.filter(({ name }) => name > after);
      return { names: left.slice(0, limit), more: left.length > limit, settledAtMs: 0 };
    },
  };
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs };
  const { ctx } = memoryContext();
  const env = { MACHINE: machine, CATALOG: namespaceOf(catalog) } as unknown as Env;
  const index = new NameIndex(ctx, env, clock);
  const letGo = () => {
    for (const resolve of held.splice(0)) resolve();
  };
  return { index, catalog, clock, pages, letGo };
}

test("more names than a page has are read page by page, and until all are, none is said to be absent", async () => {
  const { index, pages } = indexOf(2500);
  assert.equal(await index.has(absent), undefined);
  assert.equal(await index.has(nameOf(999)), true);
  assert.equal(await index.has(nameOf(1000)), undefined);
  await index.alarm();
  assert.deepEqual(pages, ["", nameOf(999), nameOf(1999)]);
  assert.deepEqual([await index.has(absent), await index.has(nameOf(2499))], [false, true]);
});

test("a part that is built again while it reads a page begins again, and is not done with that page", async () => {
  for (const count of [10, 1500]) {
    const { index, catalog, clock, pages, letGo } = indexOf(count);
    if (count > 1000) await index.has(absent);
    catalog.isHeld = true;
    const reading = count > 1000 ? index.alarm() : index.has(absent);
    await getOn();
    clock.nowMs += 1;
    await index.rebuild(0);
    letGo();
    await getOn();
    assert.equal(await index.has(absent), undefined);
    catalog.isHeld = false;
    letGo();
    await reading;
    await index.alarm();
    assert.equal(pages.filter((after) => after === "").length, 2);
    assert.equal(await index.has(absent), false);
  }
});

test("a part that is built again does not go on where it was as well", async () => {
  const { index, clock, pages } = indexOf(1500);
  assert.equal(await index.has(absent), undefined);
  clock.nowMs += 1;
  await index.rebuild(0);
  await index.alarm();
  assert.deepEqual(pages, ["", "", nameOf(999)]);
});

test("while a part reads a page for one question, others wait for the same one", async () => {
  const { index, catalog, pages, letGo } = indexOf(10);
  catalog.isHeld = true;
  const asking = [index.has(absent), index.mayBePublic(absent)];
  letGo();
  assert.deepEqual(await Promise.all(asking), [false, false]);
  assert.deepEqual(pages, [""]);
});
