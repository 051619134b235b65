/** What ends with an account, its password or a key, and what another one does not get by it. */
import assert from "node:assert/strict";
import test from "node:test";
import { Accounts } from "../../src/objects/catalog/accounts.ts";
import { Keys } from "../../src/objects/catalog/keys.ts";
import { catalogSchema } from "../../src/objects/catalog/schema.ts";
import { applySchema } from "../../src/objects/schema.ts";
import { type Tx, transaction } from "../../src/objects/sql.ts";
import { memoryStorage } from "../support/sqlite.ts";

const nowMs = 1_700_000_000_000;
const dayMs = 86_400_000;

function newCatalog() {
  const storage = memoryStorage();
  const change = <T>(work: (tx: Tx) => T) => transaction(storage, work);
  change((tx) => applySchema(tx, catalogSchema));
  return { storage, change, accounts: new Accounts(storage.sql) };
}

const password = (text: string) => ({ salt: text, hash: text, iterations: 1 });

test("whatever ends what was issued to an account gives it a version that none had, though the clock stands", () => {
  const { change, accounts } = newCatalog();
  const put = (more: { password?: ReturnType<typeof password>; isDisabled?: boolean } = {}) =>
    change((tx) => accounts.put(tx, { name: "ann", grants: [], isDisabled: false, ...more }, nowMs)).account
      .version;
  const made = put();
  assert.equal(put(), made);
  const versions = [
    made,
    put({ password: password("a") }),
    put({ isDisabled: true }),
    put({ isDisabled: true }),
  ];
  change((tx) => accounts.delete(tx, "ann"));
  versions.push(put());
  assert.deepEqual(
    versions,
    versions.toSorted((one, other) => one - other),
  );
  assert.equal(new Set(versions).size, versions.length);
});

test("a password is changed only by who has the account as it is, and has not been disabled", () => {
  const { change, accounts } = newCatalog();
  const put = (isDisabled: boolean) =>
    change((tx) => accounts.put(tx, { name: "ann", grants: [], isDisabled, password: password("a") }, nowMs));
  const changeTo = (text: string, version: number) =>
    change((tx) => accounts.changePassword(tx, "ann", String(version), password(text), nowMs));
  const before = put(false).account.version;
  const { version } = put(false).account;
  assert.equal(changeTo("b", before), undefined);
  assert.deepEqual(changeTo("b", version)?.password, password("b"));
  assert.equal(changeTo("c", put(true).account.version), undefined);
  assert.deepEqual(accounts.account("ann")?.password, password("a"));
});

test("the tokens of an account go with it, and nobody deletes those of another", () => {
  const { change, accounts } = newCatalog();
  const token = { description: "", createdAtMs: nowMs };
  change((tx) => {
    for (const name of ["ann", "ben"]) {
      accounts.put(tx, { name, grants: [], isDisabled: false }, nowMs);
      accounts.addToken(tx, { ...token, id: `of-${name}`, account: name, secretHash: name });
    }
    assert.equal(accounts.deleteToken(tx, "ann", "of-ben"), false);
    accounts.delete(tx, "ann");
  });
  assert.deepEqual([accounts.tokenBySecret("ann"), accounts.tokenBySecret("ben")?.id], [undefined, "of-ben"]);
});

test("a key verifies for as long as anything lives that it signed, and then no more", async () => {
  const { storage } = newCatalog();
  const clock = { nowMs, now: () => clock.nowMs };
  const tokenTtlMs = 7 * dayMs;
  const keys = new Keys(storage, clock, tokenTtlMs);
  const [first] = await keys.current();
  clock.nowMs += 30 * dayMs;
  assert.deepEqual(
    (await keys.current()).map(({ kid }) => kid),
    [first?.kid],
  );
  clock.nowMs += 1;
  // Two that ask at once get the same new key.
  const [rotated] = await Promise.all([keys.current(), keys.current()]);
  assert.equal(rotated.length, 2);
  assert.equal((await keys.current()).length, 2);
  clock.nowMs += tokenTtlMs;
  assert.equal((await keys.rotate()).length, 3);
  clock.nowMs += dayMs;
  assert.deepEqual(
    (await keys.rotate()).some(({ kid }) => kid === first?.kid),
    false,
  );
});
