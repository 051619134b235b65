import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { grantsOfClaims, parseIssuers, type TrustedIssuer } from "../../src/oci/issuer.ts";

const grants = [{ repository: "acme/**", verbs: ["pull"] }];
const rule = { owner: { repository_owner: "acme" }, claims: { ref: "refs/heads/*" }, grants };
const issuer = {
  issuer: "https://ci.example",
  audience: "registry.example",
  jwksUrl: "https://ci.example/keys",
  repositories: ["acme/**"],
  rules: [rule],
};

function read(text: string): TrustedIssuer[] {
  const parsed = parseIssuers(text);
  assert(parsed.ok, text);
  return parsed.issuers;
}

function reasonAgainst(text: string): string {
  const parsed = parseIssuers(text);
  assert(!parsed.ok, text);
  return parsed.reason;
}

test("issuers are read, with what is left out", () => {
  assert.deepEqual(read("[]"), []);
  assert.deepEqual(read(JSON.stringify([issuer])), [{ ...issuer, acceptAccess: false }]);
  const { jwksUrl, rules, ...rest } = issuer;
  const keys = [{ kty: "OKP" }];
  assert.deepEqual(read(JSON.stringify([{ ...rest, keys, acceptAccess: true }])), [
    { ...rest, keys, acceptAccess: true, rules: [] },
  ]);
  assert(jwksUrl.length + rules.length > 0);
  const [short] = read(JSON.stringify([{ ...issuer, rules: [{ owner: rule.owner, grants }] }]));
  assert.deepEqual(short?.rules, [{ ...rule, claims: {} }]);
});

describe("issuers are refused as a whole with", () => {
  const wrong: [what: string, where: string, value: unknown][] = [
    ["no list", "it", issuer],
    ["null", "it", null],
    ["an entry that is null", "[1]", [issuer, null]],
    ["an entry that is a list", "[0]", [[issuer]]],
    ["no issuer", "[0].issuer", [{ ...issuer, issuer: undefined }]],
    ["an empty issuer", "[0].issuer", [{ ...issuer, issuer: "" }]],
    ["no audience: everybody's tokens would do", "[0].audience", [{ ...issuer, audience: undefined }]],
    ["an empty audience", "[0].audience", [{ ...issuer, audience: "" }]],
    ["several audiences", "[0].audience", [{ ...issuer, audience: ["a", "b"] }]],
    ["no ceiling", "[0].repositories", [{ ...issuer, repositories: undefined }]],
    ["a ceiling that is a text", "[0].repositories", [{ ...issuer, repositories: "**" }]],
    ["a ceiling of no pattern", "[0].repositories", [{ ...issuer, repositories: ["Acme/**"] }]],
    ["no keys", "[0].keys", [{ ...issuer, jwksUrl: undefined }]],
    ["keys in a file", "[0].jwksUrl", [{ ...issuer, jwksUrl: "file:///etc/keys" }]],
    ["keys at no address", "[0].jwksUrl", [{ ...issuer, jwksUrl: "ci.example/keys" }]],
    ["keys that are texts", "[0].keys", [{ ...issuer, jwksUrl: undefined, keys: ["x"] }]],
    [
      "a rule without an owner",
      "[0].rules[0].owner",
      [{ ...issuer, rules: [{ ...rule, owner: undefined }] }],
    ],
    ["a rule of an empty owner", "[0].rules[0].owner", [{ ...issuer, rules: [{ ...rule, owner: {} }] }]],
    [
      "a rule of an owner without a name",
      "[0].rules[0].owner.repository_owner",
      [{ ...issuer, rules: [{ ...rule, owner: { repository_owner: "" } }] }],
    ],
    [
      "a rule of owners",
      "[0].rules[0].owner.repository_owner",
      [{ ...issuer, rules: [{ ...rule, owner: { repository_owner: ["acme"] } }] }],
    ],
    [
      "a rule whose claims are no texts",
      "[0].rules[0].claims.ref",
      [{ ...issuer, rules: [{ ...rule, claims: { ref: true } }] }],
    ],
    [
      "a rule without grants",
      "[0].rules[0].grants",
      [{ ...issuer, rules: [{ ...rule, grants: undefined }] }],
    ],
    [
      "a rule of a wrong grant",
      "[0].rules[0].grants",
      [{ ...issuer, rules: [{ ...rule, grants: [{ repository: "a", verbs: ["x"] }] }] }],
    ],
    ["rules that are an object", "[0].rules", [{ ...issuer, rules: rule }]],
    ["a word for acceptAccess", "[0].acceptAccess", [{ ...issuer, acceptAccess: "yes" }]],
    ["a misspelt field", "[0].jwksUri", [{ ...issuer, jwksUri: issuer.jwksUrl }]],
    ["a misspelt condition", "[0].rules[0].claim", [{ ...issuer, rules: [{ ...rule, claim: {} }] }]],
    ["one issuer twice", "[1].issuer", [issuer, { ...issuer, audience: "other.example" }]],
  ];
  for (const [what, where, value] of wrong) {
    test(`${what}, and told where`, () => {
      assert(reasonAgainst(JSON.stringify(value)).startsWith(`${where} must be `));
    });
  }

  test("a setting that is no JSON is refused", () => {
    for (const text of ["", "{", "[", "undefined"]) assert.equal(reasonAgainst(text), "it must be JSON");
  });
});

describe("claims come to grants where the owner is equal and every pattern fits", () => {
  const [parsed] = read(JSON.stringify([issuer]));
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
