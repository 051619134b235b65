import { runTogether } from "../support/together.ts";

await runTogether(["cli/**/*.test.ts", "contract/**/*.test.ts", "costs/**/*.test.ts"]);
