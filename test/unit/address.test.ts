import assert from "node:assert/strict";
import test from "node:test";
import { networkOf } from "../../src/oci/address.ts";

const same: [what: string, texts: string[], network: string][] = [
  ["an address of IPv4 by itself", ["192.0.2.7", "192.0.2.7:4711", "::ffff:192.0.2.7"], "192.0.2.7"],
  ["one of IPv4 in IPv6's form as IPv4", ["::FFFF:c000:207", "[::ffff:192.0.2.7]:443"], "192.0.2.7"],
  [
    "addresses of IPv6 by their first 64 bits",
    [
      "2001:db8:1:2::",
      "2001:db8:1:2::1",
      "2001:0DB8:0001:0002:ffff:ffff:ffff:ffff",
      "[2001:db8:1:2::5]",
      "[2001:db8:1:2:3:4:5:6]:5000",
      "2001:db8:1:2::1%eth0",
    ],
    "20010db800010002::/64",
  ],
];
for (const [what, texts, network] of same) {
  test(`a network is told of ${what}, however it is written`, () => {
    for (const text of texts) assert.equal(networkOf(text), network, text);
  });
}

test("neighbours are other networks", () => {
  const texts = ["192.0.2.7", "192.0.2.8", "2001:db8:1:2::", "2001:db8:1:3::", "::1", "::ffff:0:1:2"];
  assert.equal(new Set(texts.map(networkOf)).size, texts.length - 1, "::1 and ::ffff:0:1:2 are in ::/64");
});

test("what is no address has no network", () => {
  const texts = ["", "unknown", "_hidden", "1.2.3", "1.2.3.256", "1.2.3.4.5", "0x7f.1", "1:2", "::g", "[]"];
  for (const text of texts) assert.equal(networkOf(text), undefined, text);
});
