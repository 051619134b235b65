import { runTogether } from "../support/together.ts";

await runTogether(["properties/**/*.test.ts"]);
