import assert from "node:assert/strict";
import test from "node:test";
import { targetProblem } from "../../src/oci/webhook-target.ts";

const hostile = [
  "https://127.0.0.1/",
  "https://127.1/",
  "https://2130706433/",
  "https://0x7f000001/",
  "https://0x7f.0.0.1/",
  "https://0177.0.0.1/",
  "https://017700000001/",
  "https://127.0.0.1./",
  "https://１２７.０.０.１/",
  "https://%31%32%37.0.0.1/",
  "https://0/",
  "https://0.0.0.0/",
  "https://10.0.0.1/",
  "https://100.64.0.1/",
  "https://169.254.169.254/latest/meta-data/",
  "https://172.16.0.1/",
  "https://172.31.255.255/",
  "https://192.168.1.1/",
  "https://198.18.0.1/",
  "https://224.0.0.1/",
  "https://255.255.255.255/",
  "https://[::1]/",
  "https://[::]/",
  "https://[0:0:0:0:0:0:0:1]/",
  "https://[::127.0.0.1]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[::ffff:7f00:1]/",
  "https://[64:ff9b::7f00:1]/",
  "https://[2002:7f00:1::]/",
  "https://[2001:0:1::1]/",
  "https://[2001:db8::1]/",
  "https://[fc00::1]/",
  "https://[fd12:3456::1]/",
  "https://[fe80::1]/",
  "https://[ff02::1]/",
  "https://localhost/",
  "https://LOCALHOST./",
  "https://a.localhost/",
  "https://printer.local/",
  "https://metadata.google.internal/",
  "https://router.home.arpa/",
  "https://intranet/",
  "https://localhost.localdomain/",
  "https://localhost../",
  "https://a.localhost../",
  "https://intranet.../",
  "https://printer.local../",
  "https://metadata.google.internal../",
  "https://router.home.arpa../",
  "https://router。home。arpa。。/",
  "https://127.0.0.1../",
  "https://127.1../",
  "https://2130706433../",
  "https://0x7f.1../",
  "https://0177.0.0.1.../",
  "https://169.254.169.254../",
  "https://10.0.0.1..:8443/",
  "https://./",
  "https://../",
  "https://[::ffff:7f00:1]/",
  "https://[::ffff:0:127.0.0.1]/",
  "https://[64:ff9b::10.0.0.1]/",
  "https://[64:ff9b:1::10.0.0.1]/",
  "https://[2002:a00:1::1]/",
  "https://[2001::10.0.0.1]/",
  "https://[3fff::1]/",
  "http://example.com/",
  "http://127.0.0.1/",
];

const refusedAlways = [
  "",
  "example.com",
  "ftp://example.com/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "https://user:password@example.com/",
  "https://user@example.com/",
  `https://example.com/${"x".repeat(2000)}`,
];

const open = [
  "https://example.com/",
  "https://example.com:8443/hook?x=1",
  "https://sub.example.co.uk./",
  "https://sub.example.co.uk../",
  "https://8.8.8.8../",
  "https://localhost.example.com/",
  "https://8.8.8.8/",
  "https://172.32.0.1/",
  "https://100.128.0.1/",
  "https://[2606:4700:4700::1111]/",
];

test("private targets are refused, however they are written, unless they are allowed", () => {
  for (const url of hostile) {
    assert.notEqual(targetProblem(url, false), undefined, url);
    assert.equal(targetProblem(url, true), undefined, url);
  }
});

test("what is no target at all is refused always", () => {
  for (const url of refusedAlways) {
    for (const allowsPrivate of [false, true]) {
      assert.notEqual(targetProblem(url, allowsPrivate), undefined, url);
    }
  }
});

test("public targets are let through", () => {
  for (const url of open) assert.equal(targetProblem(url, false), undefined, url);
});
