import assert from "node:assert/strict";
import { hostname } from "node:os";
import test from "node:test";
import { readyMessage, usableUrl } from "../../src/local/ready-message.ts";

const urls: [host: string, isTls: boolean, url: string][] = [
  ["127.0.0.1", false, "http://127.0.0.1:5000"],
  ["::1", false, "http://[::1]:5000"],
  ["192.0.2.1", true, "https://192.0.2.1:5000"],
  ["registry.example", true, "https://registry.example:5000"],
  ["0.0.0.0", false, "http://localhost:5000"],
  ["::", false, "http://localhost:5000"],
  ["0:0:0:0:0:0:0:0", false, "http://localhost:5000"],
  ["0.0.0.0", true, `https://${hostname()}:5000`],
];

for (const [host, isTls, url] of urls) {
  test(`a server on ${host} ${isTls ? "with" : "without"} TLS is reached at ${url}`, () => {
    assert.equal(usableUrl({ host, port: 5000, isTls }), url);
  });
}

test("a server that listens everywhere says so, and names an address that clients can use", () => {
  const message = readyMessage({ host: "0.0.0.0", port: 5000, isTls: false }, false);
  assert.match(message, /^stowage \d\S* is ready at http:\/\/localhost:5000\nIt listens on all addresses/);
  assert.match(message, /docker login -u admin localhost:5000\n/);
  assert.match(message, /docker push localhost:5000\/IMAGE\n$/);
  assert.doesNotMatch(message, /0\.0\.0\.0/);
});

test("a server with a certificate is reached everywhere by the name in it", () => {
  const served = { host: "0.0.0.0", port: 443, isTls: true, name: "registry.lan" };
  assert.equal(new URL(usableUrl(served)).host, "registry.lan");
  assert.doesNotMatch(readyMessage(served, false), /HTTP:/);
});

test("a server that other machines reach without TLS says what that means", () => {
  const warns = (host: string, isTls: boolean) =>
    /HTTP:/.test(readyMessage({ host, port: 5000, isTls }, false));
  assert.deepEqual([warns("192.0.2.1", false), warns("0.0.0.0", false)], [true, true]);
  assert.deepEqual(
    [warns("127.0.0.1", false), warns("::1", false), warns("192.0.2.1", true)],
    [false, false, false],
  );
});
