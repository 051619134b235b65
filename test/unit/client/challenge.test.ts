import assert from "node:assert/strict";
import test from "node:test";
import { demandOf, mayTrust, parseChallenges } from "../../../src/client/challenge.ts";

const challenges: [header: string | null, expected: [string, Record<string, string>][]][] = [
  [null, []],
  ["", []],
  ["Basic realm=x", [["basic", { realm: "x" }]]],
  [
    'Bearer realm="https://a/token",service="a b"',
    [["bearer", { realm: "https://a/token", service: "a b" }]],
  ],
  ['bearer Realm = "a,b" , scope="x:y:pull,push"', [["bearer", { realm: "a,b", scope: "x:y:pull,push" }]]],
  [
    'Negotiate, Basic realm="\\"q\\""',
    [
      ["negotiate", {}],
      ["basic", { realm: '"q"' }],
    ],
  ],
  [
    'Bearer realm="1", realm="2", Basic realm="3"',
    [
      ["bearer", { realm: "1" }],
      ["basic", { realm: "3" }],
    ],
  ],
  ['Bearer realm="open', [["bearer", {}]]],
];

test("challenges are read as RFC 9110 has them", () => {
  for (const [header, expected] of challenges) {
    const read = parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }]);
    assert.deepEqual(read, expected, String(header));
  }
});

test("a challenge names a token service by an address without credentials in it", () => {
  const realms: [string, string | undefined][] = [
    ["https://auth.example.org/token", "https://auth.example.org/token"],
    ["http://127.0.0.1:5000/token", "http://127.0.0.1:5000/token"],
    ["https://user:pass@example.org/token", undefined],
    ["file:///etc/passwd", undefined],
    ["/token", undefined],
  ];
  for (const [realm, expected] of realms) {
    const demand = demandOf(`Bearer realm="${realm}"`);
    assert.equal(demand?.kind === "bearer" ? demand.realm.href : undefined, expected, realm);
  }
  assert.deepEqual(demandOf('Bearer realm="file:///x", Basic realm="y"'), { kind: "basic" });
});

test("credentials go to a token service over https, or over http where the registry is like that itself", () => {
  const cases: [realm: string, registry: string, expected: boolean][] = [
    ["https://auth.example.org", "https://registry.example.org", true],
    ["https://auth.example.org", "http://127.0.0.1:5000", true],
    ["http://registry.example.org/token", "https://registry.example.org", false],
    ["http://127.0.0.1/token", "https://registry.example.org", false],
    ["http://registry.example.org:5001/token", "http://registry.example.org:5000", true],
    ["http://127.0.0.1:5001/token", "http://127.0.0.1:5000", true],
    ["http://auth.example.org/token", "http://127.0.0.1:5000", false],
    ["http://auth.example.org/token", "http://registry.example.org", false],
  ];
  for (const [realm, registry, expected] of cases) {
    assert.equal(mayTrust(new URL(realm), new URL(registry)), expected, `${realm} of ${registry}`);
  }
});
