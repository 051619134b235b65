import { runTogether } from "../support/together.ts";

await runTogether(["auth/**/*.test.ts"]);
