/** Tokens of other issuers, where two of them sign with one key. */
import assert from "node:assert/strict";
import test from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { FederatedIdentities } from "../../src/edge/auth/federated.ts";
import type { TrustedIssuer } from "../../src/oci/issuer.ts";
import type { Registry } from "../../src/registry/registry.ts";

test("a token is verified as one of the issuer that it names, though another has the same key", async () => {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "shared", alg: "EdDSA" }];
  const [one, other] = ["https://one.example", "https://other.example"].map(
    (issuer): TrustedIssuer => ({
      issuer,
      audience: "registry.example",
      keys,
      repositories: [`${issuer.slice(8, 11)}/**`],
      acceptAccess: true,
      rules: [],
    }),
  );
  assert(one !== undefined && other !== undefined);
  const registry = { clock: { now: Date.now }, settings: { issuers: [one, other] } } as unknown as Registry;
  const identities = new FederatedIdentities(registry);
  const token = await new SignJWT({ access: [] })
    .setProtectedHeader({ alg: "EdDSA", kid: "shared" })
    .setIssuer(one.issuer)
    .setAudience(one.audience)
    .setSubject("someone")
    .setExpirationTime("5m")
    .sign(privateKey);
  assert.equal(identities.issuerOf(token), one);
  const verified = await identities.verify(one, token);
  assert(verified.ok);
  assert.equal(verified.identity.principal.account, "oidc:https://one.example:someone");
  assert.equal((await identities.verify(other, token)).ok, false);
});
