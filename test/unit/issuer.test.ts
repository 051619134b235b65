import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { grantsOfClaims, parseIssuers } from "../../src/oci/issuer.ts";

const grants = [{ repository: "acme/**", verbs: ["pull"] }];
const rule = { owner: { repository_owner: "acme" }, claims: { ref: "refs/heads/*" }, grants };
const issuer = {
  issuer: "https://ci.example",
  audience: "registry.example",
  jwksUrl: "https://ci.example/keys",
  repositories: ["acme/**"],
  rules: [rule],
};

test("issuers are read, with what is left out", () => {
  assert.deepEqual(parseIssuers("[]"), []);
  assert.deepEqual(parseIssuers(JSON.stringify([issuer])), [{ ...issuer, acceptAccess: false }]);
  const { jwksUrl, rules, ...rest } = issuer;
  const keys = [{ kty: "OKP" }];
  assert.deepEqual(parseIssuers(JSON.stringify([{ ...rest, keys, acceptAccess: true }])), [
    { ...rest, keys, acceptAccess: true, rules: [] },
  ]);
  assert(jwksUrl.length + rules.length > 0);
  const [read] = parseIssuers(JSON.stringify([{ ...issuer, rules: [{ owner: rule.owner, grants }] }])) ?? [];
  assert.deepEqual(read?.rules, [{ ...rule, claims: {} }]);
});

describe("issuers are refused as a whole with", () => {
  const wrong: [string, unknown][] = [
    ["no list", issuer],
    ["null", null],
    ["an entry that is null", [issuer, null]],
    ["an entry that is a list", [[issuer]]],
    ["no issuer", [{ ...issuer, issuer: undefined }]],
    ["an empty issuer", [{ ...issuer, issuer: "" }]],
    ["no audience: everybody's tokens would do", [{ ...issuer, audience: undefined }]],
    ["an empty audience", [{ ...issuer, audience: "" }]],
    ["several audiences", [{ ...issuer, audience: ["a", "b"] }]],
    ["no ceiling", [{ ...issuer, repositories: undefined }]],
    ["a ceiling that is a text", [{ ...issuer, repositories: "**" }]],
    ["a ceiling of no pattern", [{ ...issuer, repositories: ["Acme/**"] }]],
    ["no keys", [{ ...issuer, jwksUrl: undefined }]],
    ["keys in a file", [{ ...issuer, jwksUrl: "file:///etc/keys" }]],
    ["keys at no address", [{ ...issuer, jwksUrl: "ci.example/keys" }]],
    ["keys that are texts", [{ ...issuer, jwksUrl: undefined, keys: ["x"] }]],
    ["a rule without an owner", [{ ...issuer, rules: [{ ...rule, owner: undefined }] }]],
    ["a rule of an empty owner", [{ ...issuer, rules: [{ ...rule, owner: {} }] }]],
    [
      "a rule of an owner without a name",
      [{ ...issuer, rules: [{ ...rule, owner: { repository_owner: "" } }] }],
    ],
    ["a rule of owners", [{ ...issuer, rules: [{ ...rule, owner: { repository_owner: ["acme"] } }] }]],
    ["a rule whose claims are no texts", [{ ...issuer, rules: [{ ...rule, claims: { ref: true } }] }]],
    ["a rule without grants", [{ ...issuer, rules: [{ ...rule, grants: undefined }] }]],
    [
      "a rule of a wrong grant",
      [{ ...issuer, rules: [{ ...rule, grants: [{ repository: "a", verbs: ["x"] }] }] }],
    ],
    ["rules that are an object", [{ ...issuer, rules: rule }]],
    ["a word for acceptAccess", [{ ...issuer, acceptAccess: "yes" }]],
    ["one issuer twice", [issuer, { ...issuer, audience: "other.example" }]],
  ];
  for (const [what, value] of wrong) {
    test(what, () => assert.equal(parseIssuers(JSON.stringify(value)), undefined));
  }

  test("no JSON", () => {
    for (const text of ["", "{", "[", "undefined"]) assert.equal(parseIssuers(text), undefined);
  });
});

describe("claims come to grants where the owner is equal and every pattern fits", () => {
  const [parsed] = parseIssuers(JSON.stringify([issuer])) ?? [];
  const cases: [Record<string, unknown>, boolean][] = [
    [{ repository_owner: "acme", ref: "refs/heads/main" }, true],
    [{ repository_owner: "acme", ref: "refs/heads/a/b" }, false],
    [{ repository_owner: "acme", ref: "refs/tags/v1" }, false],
    [{ repository_owner: "acme", ref: "x/refs/heads/main" }, false],
    [{ repository_owner: "acme", ref: ["refs/heads/main"] }, false],
    [{ repository_owner: "acme" }, false],
    [{ repository_owner: "acme2", ref: "refs/heads/main" }, false],
    [{ repository_owner: " acme", ref: "refs/heads/main" }, false],
    [{ repository_owner: ["acme"], ref: "refs/heads/main" }, false],
    [{ ref: "refs/heads/main" }, false],
    [Object.create({ repository_owner: "acme", ref: "refs/heads/main" }), false],
  ];
  for (const [claims, applies] of cases) {
    test(JSON.stringify(claims), () => {
      assert(parsed !== undefined);
      assert.deepEqual(grantsOfClaims(parsed, claims), applies ? grants : []);
    });
  }
});
