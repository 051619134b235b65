/** `npm run cost`: writes docs/cost.md. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { costDocument } from "./document.ts";

writeFileSync(join(import.meta.dirname, "..", "..", "docs", "cost.md"), costDocument());
