import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { documents } from "./documents.ts";

for (const { file, text } of documents()) {
  const name = file.split("/").slice(-2).join("/");
  test(`${name} says what the contract says: npm run contract writes it`, () => {
    assert.equal(readFileSync(file, "utf8"), text);
  });
}
