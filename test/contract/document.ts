/** `npm run contract`: writes docs/openapi.json, and the tables of docs/api.md, as the contract has them. */
import { writeFileSync } from "node:fs";
import { documents } from "./documents.ts";

for (const { file, text } of documents()) writeFileSync(file, text);
