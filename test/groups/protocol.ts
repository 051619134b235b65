import { runTogether } from "../support/together.ts";

await runTogether(["conformance/**/*.test.ts", "endpoints/**/*.test.ts"]);
