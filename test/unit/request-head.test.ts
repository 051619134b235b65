import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import test from "node:test";
import { clientAddress } from "../../src/local/proxy/client-address.ts";
import { requestHead } from "../../src/local/proxy/request-head.ts";

test("HTTP/1.0 without a host means the address that it came to", () => {
  for (const [localAddress, host] of [
    ["127.0.0.1", "127.0.0.1:5000"],
    ["::ffff:127.0.0.1", "127.0.0.1:5000"],
    ["::1", "[::1]:5000"],
    ["fe80::1%eth0", "[fe80::1]:5000"],
  ] as const) {
    const socket = { localAddress, localPort: 5000, remoteAddress: "::1" };
    const request = { rawHeaders: [], httpVersion: "1.0", method: "GET", url: "/", socket };
    const options = { trustForwarded: false, secret: undefined };
    const head = requestHead(request as unknown as IncomingMessage, options, false);
    assert(head.ok && head.text.includes(`\r\nHost: ${host}\r\n`), localAddress);
  }
});

test("an address of IPv4 in the form of IPv6 is written as one of IPv4, and no other is changed", () => {
  for (const [remote, address] of [
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "::ffff:c000:201"],
    ["2001:db8::1", "2001:db8::1"],
    [undefined, "unknown"],
  ] as const) {
    assert.equal(clientAddress(remote, undefined), address);
  }
  assert.equal(clientAddress("::1", "192.0.2.1, ::ffff:192.0.2.2"), "192.0.2.2");
  assert.equal(clientAddress("::1", "192.0.2.1, "), "::1");
});
