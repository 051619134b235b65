import { runTogether } from "../support/together.ts";

await runTogether(["api/**/*.test.ts", "auth/**/*.test.ts"]);
