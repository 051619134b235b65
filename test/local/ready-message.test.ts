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
  assert.match(message, /^stowage is ready at http:\/\/localhost:5000\nIt listens on all addresses/);
  assert.match(message, /docker login -u admin localhost:5000\n/);
  assert.match(message, /docker push localhost:5000\/IMAGE\n$/);
  assert.doesNotMatch(message, /0\.0\.0\.0/);
});
