/** The index of names: what registrations, removals and additions come to, in any order. */
import assert from "node:assert/strict";
import test from "node:test";
import { NameStore, nameIndexSchema } from "../../src/objects/name-index/store.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { type Tx, transaction } from "../../src/objects/sql.ts";
import type { RepositoryName } from "../../src/oci/reference.ts";
import { memoryStorage } from "../support/sqlite.ts";

const name = "team/app" as RepositoryName;
const now = 1_700_000_000_000;

function newStore() {
  const storage = memoryStorage();
  transaction(storage, (tx) => applySchema(tx, nameIndexSchema));
  const store = new NameStore(storage.sql);
  const change = <T>(work: (tx: Tx) => T): T => transaction(storage, work);
  return {
    store,
    register: (isPublic = false, at = now) => change((tx) => store.register(tx, name, isPublic, at)),
    add: (isPublic = false) => change((tx) => store.add(tx, { name, isPublic })),
    remove: (registration: number) => change((tx) => store.remove(tx, name, registration)),
    hide: (registration: number) => change((tx) => store.hide(tx, name, registration)),
  };
}

test("each registration has a higher number than the one before, and at least the clock's", () => {
  const { register } = newStore();
  const first = register();
  assert.equal(first, now);
  assert.equal(register(), now + 1);
  assert.equal(register(false, now - 60_000), now + 2, "a clock that was put back");
  assert.equal(register(false, now + 60_000), now + 60_000);
});

test("a removal leaves a later registration", () => {
  const { store, register, remove } = newStore();
  const first = register();
  const second = register();
  remove(first);
  assert(store.has(name));
  remove(second);
  assert(!store.has(name));
});

test("numbers are not given twice after a removal", () => {
  const { register, remove } = newStore();
  const first = register();
  remove(first);
  assert(register() > first);
});

test("a name that was added is removed under any number, and one that is registered since is not", () => {
  const { store, register, add, remove } = newStore();
  add();
  remove(0);
  assert(!store.has(name));
  register();
  add();
  remove(0);
  assert(store.has(name));
});

test("a name may be public once it was registered or added as that, until it is hidden under its last number", () => {
  const { store, register, add, hide } = newStore();
  const first = register();
  assert(!store.mayBePublic(name));
  const second = register(true);
  assert(store.mayBePublic(name));
  hide(first);
  assert(store.mayBePublic(name), "it was made public since");
  assert(register() > second);
  hide(second);
  assert(store.mayBePublic(name), "it was registered since");
  hide(second + 1);
  assert(!store.mayBePublic(name));
  add(true);
  assert(store.mayBePublic(name));
});

test("what is removed is no longer public", () => {
  const { store, register, remove } = newStore();
  remove(register(true));
  assert(!store.mayBePublic(name));
});
