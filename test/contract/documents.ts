/** The documents that are made from the contract. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fillTables } from "./api-page.ts";
import { openApi } from "./openapi.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");

/** Each file, and what is to be in it. */
export function documents(): { file: string; text: string }[] {
  const page = join(docs, "api.md");
  return [
    { file: join(docs, "openapi.json"), text: `${JSON.stringify(openApi(), undefined, 2)}\n` },
    { file: page, text: fillTables(readFileSync(page, "utf8")) },
  ];
}
