/** When a ledger may be founded, and when its name leaves the index. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Env } from "../../src/bindings.ts";
import { registryItself } from "../../src/oci/event.ts";
import { minute } from "../../src/units.ts";
import { type MemoryLedger, memoryLedger } from "../support/ledger.ts";
import { namespaceOf } from "../support/namespace.ts";

/** A ledger, and what its index was asked. `fails`: the index does not answer. */
function newLedger() {
  const asked: [method: string, ...args: unknown[]][] = [];
  const index = { fails: false, meanwhile: () => {} };
  const stub = new Proxy(
    {},
    {
      get: (_, method) =>
        method === "then" ? undefined : (...args: unknown[]) => answer(String(method), args),
    },
  );
  const answer = async (method: string, args: unknown[]) => {
    if (index.fails) throw new Error("unreachable");
    asked.push([method, ...args]);
    index.meanwhile();
  };
  const env = { NAME_INDEX: namespaceOf(stub) } as unknown as Partial<Env>;
  return { ledger: memoryLedger(env), asked, index };
}

function found(ledger: MemoryLedger, registration: number | undefined): void {
  ledger.change((tx) => {
    ledger.registration.noteFounding(tx, registration);
    ledger.repository.found(tx, registryItself);
  });
  ledger.repository.reload();
  ledger.registration.catchUp();
}

function end(ledger: MemoryLedger): void {
  const { meta } = ledger.repository;
  assert(meta !== undefined);
  ledger.change((tx) => ledger.repository.endGeneration(tx, meta, registryItself));
  ledger.repository.reload();
  ledger.registration.catchUp();
}

const isDue = ({ due }: MemoryLedger, kind: string) => due.at(kind, "") !== undefined;

/** Runs the job that tells the index. */
const tell = ({ registration }: MemoryLedger) => registration.jobs["tell-index"].run();

test("a ledger is founded on a registration that was made for the write, and on none that is old or known", () => {
  const { ledger } = newLedger();
  const { registration, clock } = ledger;
  assert(!registration.allows(null));
  assert(registration.allows(undefined), "a Worker of an earlier release");
  assert(registration.allows(clock.nowMs));
  assert(!registration.allows(clock.nowMs - 10 * minute));
  found(ledger, clock.nowMs);
  end(ledger);
  assert(!registration.allows(clock.nowMs), "of the repository that was deleted");
  assert(registration.allows(clock.nowMs + 1));
});

test("a ledger that was founded on a registration has nothing to tell", () => {
  const { ledger } = newLedger();
  found(ledger, ledger.clock.nowMs);
  assert(!isDue(ledger, "tell-index"));
  ledger.registration.catchUp();
  assert(!isDue(ledger, "tell-index"));
});

test("a ledger that an earlier release founded adds itself once", async () => {
  const { ledger, asked } = newLedger();
  ledger.change((tx) => ledger.repository.write(tx, "founded", "yes"));
  ledger.change((tx) => ledger.repository.write(tx, "visibility", "public"));
  ledger.repository.reload();
  ledger.registration.catchUp();
  assert(isDue(ledger, "tell-index"));
  await tell(ledger);
  assert.deepEqual(asked, [["add", [{ name: "team/app", isPublic: true }]]]);
  assert(!isDue(ledger, "tell-index"));
  ledger.registration.catchUp();
  assert(!isDue(ledger, "tell-index"));
});

test("a repository that becomes private is hidden under its last number, and one that was not public is not", async () => {
  const { ledger, asked } = newLedger();
  const { registration, repository, clock } = ledger;
  found(ledger, clock.nowMs);
  const change = (visibility: "public" | "private", number?: number) => {
    ledger.change((tx) => {
      repository.write(tx, "visibility", visibility);
      registration.note(tx, number, true);
    });
    repository.reload();
    registration.catchUp();
  };
  change("private");
  assert(!isDue(ledger, "tell-index"));
  change("public", clock.nowMs + 5);
  assert(!isDue(ledger, "tell-index"), "the Worker has told it before");
  change("private");
  await tell(ledger);
  assert.deepEqual(asked, [["hide", "team/app", clock.nowMs + 5]]);
  change("public");
  await tell(ledger);
  assert.deepEqual(
    asked.at(-1),
    ["add", [{ name: "team/app", isPublic: true }]],
    "an earlier Worker told nothing",
  );
});

test("a repository that changes while the index is told tells it again", async () => {
  const { ledger, asked, index } = newLedger();
  const { repository, clock } = ledger;
  found(ledger, clock.nowMs);
  const change = (visibility: "public" | "private") => {
    ledger.change((tx) => repository.write(tx, "visibility", visibility));
    repository.reload();
    ledger.registration.catchUp();
  };
  change("public");
  index.meanwhile = () => change("private");
  await tell(ledger);
  assert(isDue(ledger, "tell-index"));
  index.meanwhile = () => {};
  await tell(ledger);
  assert.deepEqual(
    asked.map(([method]) => method),
    ["add", "hide"],
    "it does not stay public in the index",
  );
  assert(!isDue(ledger, "tell-index"));
});

test("a repository under the name of one that was public is hidden", async () => {
  const { ledger, asked } = newLedger();
  const { registration, repository, clock } = ledger;
  found(ledger, clock.nowMs);
  ledger.change((tx) => {
    repository.write(tx, "visibility", "public");
    registration.note(tx, clock.nowMs + 1, true);
  });
  repository.reload();
  end(ledger);
  found(ledger, clock.nowMs + 2);
  await tell(ledger);
  assert.deepEqual(asked, [["hide", "team/app", clock.nowMs + 2]]);
});

test("a name leaves the index under its last number, once no write on an earlier registration can come", async () => {
  const { ledger, asked } = newLedger();
  const { registration, clock } = ledger;
  const number = clock.nowMs;
  found(ledger, number);
  end(ledger);
  assert.equal(await registration.leave(), false);
  assert.equal(ledger.due.at("leave-index", ""), number + 15 * minute);
  clock.nowMs += 15 * minute;
  assert.equal(await registration.leave(), true);
  assert.deepEqual(asked, [["remove", "team/app", number]]);
});

test("the object is kept while the index does not answer, or if the ledger is founded meanwhile", async () => {
  const { ledger, index } = newLedger();
  const { registration, clock } = ledger;
  found(ledger, clock.nowMs);
  end(ledger);
  clock.nowMs += 15 * minute;
  index.fails = true;
  assert.equal(await registration.leave(), false);
  assert.equal(ledger.due.at("leave-index", ""), clock.nowMs + 30_000);
  index.fails = false;
  const leaving = registration.leave();
  found(ledger, clock.nowMs);
  assert.equal(await leaving, false);
});

test("a ledger that was never founded has no name to remove", async () => {
  const { ledger, asked } = newLedger();
  assert.equal(await ledger.registration.leave(), true);
  assert.deepEqual(asked, []);
});
