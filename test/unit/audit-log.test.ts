import assert from "node:assert/strict";
import test from "node:test";
import { AuditLog } from "../../src/objects/catalog/audit-log.ts";
import { catalogSchema } from "../../src/objects/catalog/schema.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { transaction } from "../../src/objects/sql.ts";
import type { AuditKind } from "../../src/oci/audit.ts";
import type { NewAuditEntry } from "../../src/rpc/api.ts";
import { memoryStorage } from "../support/sqlite.ts";

const maxRows = 10_000;

/** A log, and how entries are added to it. */
function makeLog() {
  const storage = memoryStorage();
  transaction(storage, (tx) => applySchema(tx, catalogSchema));
  const log = new AuditLog(storage.sql);
  const add = (entries: NewAuditEntry[]) => transaction(storage, (tx) => log.add(tx, entries));
  return { log, add };
}

function entry(kind: AuditKind, actor: string, target: string, detail = ""): NewAuditEntry {
  const time = "2026-11-21T11:39:15.060Z";
  const outcome = kind === "refusal" ? "denied" : "done";
  return { kind, time, actor, action: "account.change", target, outcome, address: "", requestId: "", detail };
}

function entries(count: number, kind: AuditKind, actor: string): NewAuditEntry[] {
  return Array.from({ length: count }, (_, number) => entry(kind, actor, `${actor} ${number}`));
}

/** Everything of a kind, oldest first. */
function all(log: AuditLog, kind?: AuditKind): string[] {
  const targets: string[] = [];
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = log.list(kind, before, 1000);
    targets.unshift(...page.entries.map(({ target }) => target).reverse());
    before = page.entries.at(-1)?.id ?? 0;
    if (!page.more) return targets;
  }
}

const kinds: [displacing: AuditKind, kept: AuditKind[]][] = [
  ["refusal", ["administration", "use"]],
  ["use", ["administration", "refusal"]],
  ["administration", ["use", "refusal"]],
];
for (const [displacing, others] of kinds) {
  test(`however many entries of the kind ${displacing} there are, they displace none of the others`, () => {
    const { log, add } = makeLog();
    for (const kind of others) add(entries(150, kind, "admin"));
    add(entries(2 * maxRows, displacing, "mallory"));
    for (const kind of others) assert.equal(all(log, kind).length, 150, kind);
    assert.equal(all(log, displacing).length, maxRows);
    assert.equal(all(log, displacing).at(-1), `mallory ${2 * maxRows - 1}`, "the latest are kept");
  });
}

test("an actor who fills a kind displaces their own entries, and another one nobody who has fewer", () => {
  const { log, add } = makeLog();
  add(entries(300, "refusal", "alice"));
  add(entries(maxRows, "refusal", "mallory"));
  add(entries(maxRows, "refusal", "eve"));
  add(entries(200, "refusal", "bob"));
  const left = all(log, "refusal");
  const of = (actor: string) => left.filter((target) => target.startsWith(`${actor} `)).length;
  assert.deepEqual([of("alice"), of("bob")], [300, 200]);
  assert(Math.abs(of("mallory") - of("eve")) <= 200, `${of("mallory")} and ${of("eve")}`);
  assert.equal(left.length, maxRows);
});

test("where each actor has one entry, the oldest go", () => {
  const { log, add } = makeLog();
  for (let actor = 0; actor < maxRows + 200; actor++) add([entry("use", `job-${actor}`, String(actor))]);
  assert.equal(all(log, "use")[0], "200");
});

test("a list has all kinds or one, newest first, and goes on from an id", () => {
  const { log, add } = makeLog();
  add([entry("use", "a", "1"), entry("refusal", "a", "2"), entry("use", "a", "3")]);
  assert.deepEqual(all(log), ["1", "2", "3"]);
  assert.deepEqual(all(log, "use"), ["1", "3"]);
  assert.deepEqual(all(log, "administration"), []);
  const first = log.list("use", Number.MAX_SAFE_INTEGER, 1);
  assert.deepEqual([first.entries.map(({ target }) => target), first.more], [["3"], true]);
  const second = log.list("use", first.entries[0]?.id ?? 0, 1);
  assert.deepEqual([second.entries.map(({ target }) => target), second.more], [["1"], false]);
  assert(!Object.hasOwn(first.entries[0] ?? {}, "kind"));
});

test("a page ends by its bytes, and the next one goes on from there", () => {
  const { log, add } = makeLog();
  const large = Array.from({ length: 300 }, (_, number) =>
    entry("use", "a", `${number}`, "\u{1F600}".repeat(2500)),
  );
  add(large);
  const page = log.list(undefined, Number.MAX_SAFE_INTEGER, 1000);
  assert(page.more && Buffer.byteLength(JSON.stringify(page.entries)) < 1.1 * 1024 * 1024);
  assert.equal(all(log).length, large.length);
});

test("entries of before are cut, and belong to the kinds that they are of", () => {
  const storage = memoryStorage();
  const { sql } = storage;
  const stepsBefore = 4;
  transaction(storage, (tx) => applySchema(tx, catalogSchema.slice(0, stepsBefore)));
  const long = "é".repeat(120_000);
  const before: [action: string, target: string, outcome: string, detail?: string][] = [
    ["account.create", "alice", "done", `grants ${long}`],
    ["push", "team/app", "done"],
    ["token for push", "team/app", "granted"],
    [`PUT /api/v1/${long}`, `/api/v1/${long}`, "denied"],
    ["push", "team/app", "failed", "MANIFEST_INVALID"],
    ["keys.rotate", "key", "done"],
  ];
  for (const [action, target, outcome, detail] of before) {
    const kept = { time: "t", actor: "admin", address: "", requestId: "", action, target, outcome, detail };
    sql.exec("INSERT INTO audit (entry) VALUES (?)", JSON.stringify(kept));
  }
  transaction(storage, (tx) => applySchema(tx, catalogSchema));
  const log = new AuditLog(sql);
  const page = log.list(undefined, Number.MAX_SAFE_INTEGER, 1000);
  assert.equal(page.entries.length, before.length);
  assert(JSON.stringify(page).length < 4000);
  assert.equal(page.entries.at(-1)?.detail, `grants ${long}`.slice(0, 1000));
  assert(!Object.hasOwn(page.entries.at(-2) ?? {}, "detail"), "what an entry has not is not added");
  const actions = (kind: AuditKind) =>
    log.list(kind, 99, 99).entries.map(({ action }) => action.slice(0, 14));
  assert.deepEqual(actions("administration"), ["keys.rotate", "account.create"]);
  assert.deepEqual(actions("use"), ["token for push", "push"]);
  assert.deepEqual(actions("refusal"), ["push", "PUT /api/v1/éé"]);
  // Who wrote them counts for their share.
  const { count } = sql
    .exec<{ count: number }>("SELECT count(*) AS count FROM audit WHERE actor = 'admin'")
    .one();
  assert.equal(count, before.length);
});
