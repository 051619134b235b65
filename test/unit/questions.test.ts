import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { anonymous, mayEverybodyPull } from "../../src/edge/auth/authorise.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { registryOf } from "../../src/registry/registry.ts";
import { namespaceOf } from "../support/namespace.ts";

test("of one caller's questions only so many are under way, and each that ends makes room for another", async () => {
  let asked = 0;
  const ends: (() => void)[] = [];
  const info = () => {
    asked++;
    return new Promise<{ visibility: string }>((resolve) => {
      ends.push(() => resolve({ visibility: "public" }));
    });
  };
  const env = {
    LEDGERS: namespaceOf({ info }),
    NAME_INDEX: namespaceOf({ mayBePublic: async () => true }),
  } as unknown as Env;
  const registry = registryOf(env);
  const ask = (name: string, address: string) =>
    mayEverybodyPull({ registry, access: anonymous, address }, name as RepositoryName);
  const flood = Array.from({ length: 100 }, (_, i) => ask(`flood/${i}`, "192.0.2.1"));
  const other = ask("other", "192.0.2.2");
  await new Promise(setImmediate);
  assert.equal(asked, 33, "32 of the one, and one of the other");
  for (const end of ends.splice(0)) end();
  assert.equal(await other, true);
  assert.equal((await Promise.all(flood)).filter((isPublic) => isPublic).length, 32);
  const next = ask("next", "192.0.2.1");
  await new Promise(setImmediate);
  for (const end of ends.splice(0)) end();
  assert.equal(await next, true);
});
