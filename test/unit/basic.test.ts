import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { parseAuthorization, parseBasic } from "../../src/edge/auth/authenticate.ts";

const encode = (bytes: string | Uint8Array) => Buffer.from(bytes).toString("base64");

describe("the Authorization header is a scheme and one value", () => {
  const cases: [string, [string, string] | undefined][] = [
    ["Basic abc", ["basic", "abc"]],
    ["bEARER  a.b.c ", ["bearer", "a.b.c"]],
    ["Basic\tabc", ["basic", "abc"]],
    ["", undefined],
    ["Basic", undefined],
    ["Basic ", undefined],
    ["Bearer a b", undefined],
    ["Bearer a, Basic b", undefined],
  ];
  for (const [header, expected] of cases) {
    test(JSON.stringify(header), () => {
      const parsed = parseAuthorization(header);
      assert.deepEqual(parsed && [parsed.scheme, parsed.value], expected);
    });
  }
});

describe("Basic credentials are a name and a password", () => {
  const cases: [string, string, [string, string] | undefined][] = [
    ["plain", encode("name:password"), ["name", "password"]],
    ["colons in the password", encode("name:a:b:"), ["name", "a:b:"]],
    ["an empty password", encode("name:"), ["name", ""]],
    ["an empty name", encode(":password"), ["", "password"]],
    ["UTF-8", encode("næme:пароль😀"), ["næme", "пароль😀"]],
    ["a mark of byte order, which stays", encode("\ufeffname:x"), ["\ufeffname", "x"]],
    ["without padding", encode("name:passw").replaceAll("=", ""), ["name", "passw"]],
    ["no colon", encode("name"), undefined],
    ["nothing", "", undefined],
    ["no base64", "name:password", undefined],
    ["base64 with a space", "bmFtZTp4 bmFtZTp4", undefined],
    ["Latin-1", encode(new Uint8Array([0x6e, 0xe6, 0x3a, 0x78])), undefined],
    ["half a character", encode(new Uint8Array([0x6e, 0x3a, 0xf0, 0x9f])), undefined],
    ["a surrogate", encode(new Uint8Array([0x6e, 0x3a, 0xed, 0xa0, 0x80])), undefined],
    ["more than anybody needs", encode(`name:${"x".repeat(16 * 1024)}`), undefined],
  ];
  for (const [what, value, expected] of cases) {
    test(what, () => {
      const parsed = parseBasic(value);
      assert.deepEqual(parsed && [parsed.name, parsed.password], expected);
    });
  }
});
