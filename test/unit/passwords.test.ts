import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import test from "node:test";
import {
  generateSecret,
  hashPassword,
  hashSecret,
  isGeneratedSecret,
  PasswordChecker,
} from "../../src/edge/auth/passwords.ts";

const clock = { now: () => 0 };

test("a password is kept as PBKDF2 with as many rounds as the platform allows, under a salt of its own", async () => {
  const [one, other] = await Promise.all([hashPassword("correct horse"), hashPassword("correct horse")]);
  assert.equal(one.iterations, 100_000);
  assert.equal(Buffer.from(one.salt, "base64url").byteLength, 16);
  assert.notEqual(one.salt, other.salt);
  const expected = pbkdf2Sync("correct horse", Buffer.from(one.salt, "base64url"), 100_000, 32, "sha256");
  assert.equal(one.hash, expected.toString("base64url"));
});

test("the right password is right, and no other", async () => {
  const checker = new PasswordChecker(clock);
  const kept = await hashPassword("correct horse");
  assert(await checker.isRight("correct horse", kept));
  for (const wrong of [
    "",
    "correct hors",
    "correct horse ",
    "Correct horse",
    "correct\u00a0horse",
    kept.hash,
  ]) {
    assert(!(await checker.isRight(wrong, kept)), wrong);
  }
  assert(!(await checker.isRight("", undefined)), "no account has no password");
});

test("what was right is not hashed again for a minute, and what was wrong always is", async (t) => {
  const checker = new PasswordChecker(clock);
  const [kept, changed] = await Promise.all([hashPassword("correct horse"), hashPassword("another horse")]);
  const derive = t.mock.method(crypto.subtle, "deriveBits");
  const hashes = async (password: string, now: number, account = kept) => {
    derive.mock.resetCalls();
    clock.now = () => now;
    await checker.isRight(password, account);
    return derive.mock.callCount();
  };
  assert.equal(await hashes("correct horse", 0), 1);
  assert.equal(await hashes("correct horse", 59_999), 0);
  assert.equal(await hashes("correct horse", 60_000), 1);
  for (const _ of [1, 2]) assert.equal(await hashes("wrong horse", 0), 1);
  assert.equal(await hashes("correct horse", 0, changed), 1);
  assert(!(await checker.isRight("correct horse", changed)));
});

test("an unknown account costs what a known one does", async (t) => {
  const checker = new PasswordChecker(clock);
  const kept = await hashPassword("correct horse");
  const derive = t.mock.method(crypto.subtle, "deriveBits");
  for (const account of [kept, undefined]) await checker.isRight("wrong horse", account);
  const rounds = derive.mock.calls.map(
    ({ arguments: [algorithm] }) => (algorithm as { iterations: number }).iterations,
  );
  assert.deepEqual(rounds, [100_000, 100_000]);
});

test("secrets are equal or not, whatever their lengths", () => {
  const checker = new PasswordChecker(clock);
  assert(checker.isSame("a", "a") && checker.isSame("", ""));
  assert(!checker.isSame("a", "b") && !checker.isSame("a", "aa") && !checker.isSame("", "a"));
});

test("generated secrets differ, and are told by their checksum from what only looks like one", () => {
  const secrets = new Set(Array.from({ length: 200 }, generateSecret));
  assert.equal(secrets.size, 200);
  for (const secret of secrets) {
    assert.match(secret, /^stw_[A-Za-z0-9_-]{49}$/);
    assert(isGeneratedSecret(secret));
    const at = 4 + Math.floor(Math.random() * 49);
    assert(!isGeneratedSecret(secret.slice(0, at) + (secret[at] === "A" ? "B" : "A") + secret.slice(at + 1)));
  }
  const [secret = ""] = secrets;
  for (const wrong of [
    "",
    "stw_",
    `${secret}A`,
    `${secret}\n`,
    secret.slice(0, -1),
    ` ${secret}`,
    secret.slice(4),
  ]) {
    assert(!isGeneratedSecret(wrong), wrong);
  }
  assert.match(hashSecret(secret), /^[0-9a-f]{64}$/);
});
