import { runTogether } from "../support/together.ts";

await runTogether(["browser/**/*.test.ts"]);
