import { runTogether } from "../support/together.ts";

await runTogether(["*.test.ts", "unit/**/*.test.ts"]);
