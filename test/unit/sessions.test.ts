import assert from "node:assert/strict";
import test from "node:test";
import { parseRepositoryName, type RepositoryName } from "../../src/oci/reference.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { newSession, readSession, signSession } from "../../src/registry/sessions.ts";

const repository = parseRepositoryName("a/b") as RepositoryName;
const other = parseRepositoryName("a/c") as RepositoryName;
const uploadTtlMs = 60_000;

/** A registry with a secret and a clock of its own. */
function fakeRegistry(secret = 1) {
  const clock = { nowMs: 1_700_000_000_000 };
  const registry = {
    clock: { now: () => clock.nowMs },
    settings: { uploadTtlMs },
    sessionSecret: async () => new Uint8Array(32).fill(secret),
  } as unknown as Registry;
  return { registry, clock };
}

test("a session is read back as it was signed", async () => {
  const { registry } = fakeRegistry();
  for (const algorithm of ["sha256", "sha512"] as const) {
    for (const started of [false, true]) {
      const session = { ...newSession(repository, algorithm), started };
      const id = await signSession(registry, session, "alice");
      assert.deepEqual(await readSession(registry, id, repository, "alice"), session);
    }
  }
});

test("a session is worth nothing elsewhere, to others, or changed", async () => {
  const { registry } = fakeRegistry();
  const id = await signSession(registry, newSession(repository, "sha256"), "alice");
  assert.equal(await readSession(registry, id, other, "alice"), undefined);
  assert.equal(await readSession(registry, id, repository, "bob"), undefined);
  assert.equal(await readSession(fakeRegistry(2).registry, id, repository, "alice"), undefined);
  for (let position = 0; position < id.length - 1; position++) {
    for (const character of ["0", "s", "z", "."]) {
      if (id[position] === character) continue;
      const changed = id.slice(0, position) + character + id.slice(position + 1);
      assert.equal(await readSession(registry, changed, repository, "alice"), undefined, changed);
    }
  }
  for (const text of ["", "x", id.slice(1), `${id}=`, `${id}\n`, id.toUpperCase()]) {
    assert.equal(await readSession(registry, text, repository, "alice"), undefined, text);
  }
});

test("a session holds for its time, from each answer", async () => {
  const { registry, clock } = fakeRegistry();
  const session = newSession(repository, "sha256");
  const id = await signSession(registry, session, "alice");
  clock.nowMs += uploadTtlMs;
  assert.deepEqual(await readSession(registry, id, repository, "alice"), session);
  const renewed = await signSession(registry, session, "alice");
  clock.nowMs += 1;
  assert.equal(await readSession(registry, id, repository, "alice"), undefined);
  assert.deepEqual(await readSession(registry, renewed, repository, "alice"), session);
});
