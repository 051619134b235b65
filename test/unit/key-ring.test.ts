/** The signing keys that an isolate keeps, while others are made, or the catalog is out of reach. */
import assert from "node:assert/strict";
import test from "node:test";
import { exportJWK, generateKeyPair } from "jose";
import { issueAccessToken, KeyRing, verifyAccessToken } from "../../src/edge/auth/tokens.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { SigningKey } from "../../src/rpc/api.ts";

const second = 1000;
const minute = 60 * second;

async function makeKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: "EdDSA" };
  return { kid, privateJwk: { ...(await exportJWK(privateKey)), alg: "EdDSA" }, publicJwk } as SigningKey;
}

/** A catalog with a key, and the ring of an isolate. */
async function makeRing() {
  let now = Date.UTC(2026, 0, 1);
  let calls = 0;
  let isReachable = true;
  const keys = [await makeKey("first")];
  const catalog = {
    signingKeys: async () => {
      calls++;
      if (!isReachable) throw new Error("out of reach");
      return [...keys];
    },
  };
  const registry = {
    clock: { now: () => now },
    settings: { service: "stowage", tokenTtlMs: 30 * minute },
    catalog: () => catalog,
  } as unknown as Registry;
  return {
    registry,
    ring: new KeyRing(registry),
    keys,
    advance: (milliseconds: number) => (now += milliseconds),
    calls: () => calls,
    reach: (reachable: boolean) => {
      isReachable = reachable;
    },
  };
}

test("a key that another isolate made is known within a second, and is what is signed with within minutes", async () => {
  const { ring, keys, advance } = await makeRing();
  assert.equal((await ring.signer()).kid, "first");
  keys.unshift(await makeKey("second"));
  advance(second);
  assert((await ring.verifier("second")) !== undefined);
  assert.equal((await ring.signer()).kid, "second");
  keys.unshift(await makeKey("third"));
  advance(5 * minute - 1);
  assert.equal((await ring.signer()).kid, "second");
  advance(1);
  assert.equal((await ring.signer()).kid, "third");
});

test("unknown keys are looked for once a second", async () => {
  const { ring, advance, calls } = await makeRing();
  for (const kid of ["a", "b", "c"]) assert.equal(await ring.verifier(kid), undefined);
  assert.equal(calls(), 1);
  advance(second);
  for (const kid of ["a", "b", "c"]) assert.equal(await ring.verifier(kid), undefined);
  assert.equal(calls(), 2);
});

test("a token lasts until its end, and as long as the credential it was issued for, in whole seconds", async () => {
  const { registry, ring, advance } = await makeRing();
  const isExpired = async (token: string) => {
    const verified = await verifyAccessToken(registry, ring, token);
    return verified.ok && verified.claims.isExpired;
  };
  const whole = await issueAccessToken(registry, ring, undefined, []);
  assert.equal(whole.expiresInSeconds, 30 * 60);
  advance(30 * minute - 1);
  assert.equal(await isExpired(whole.token), false);
  advance(1);
  assert.equal(await isExpired(whole.token), true);
  const holder = { account: "alice", grantSets: [[]], version: "1" };
  for (const [left, seconds] of [
    [second / 2, 1],
    [1.5 * second, 1],
    [20 * second, 20],
    [31 * minute, 30 * 60],
  ] as const) {
    const principal = { ...holder, endsAtMs: registry.clock.now() + left };
    const issued = await issueAccessToken(registry, ring, principal, []);
    // A client that reads 0 takes it for the default.
    assert.equal(issued.expiresInSeconds, seconds);
  }
});

test("a known key needs no catalog, and a token is not called invalid because the catalog is away", async () => {
  const { registry, ring, advance, reach } = await makeRing();
  const { token } = await issueAccessToken(registry, ring, undefined, []);
  reach(false);
  advance(20 * minute);
  assert((await verifyAccessToken(registry, ring, token)).ok);
  await assert.rejects(verifyAccessToken(registry, new KeyRing(registry), token), /out of reach/);
});
