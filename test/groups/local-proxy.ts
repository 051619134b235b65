import { runTogether } from "../support/together.ts";

await runTogether(["local/proxy/*.test.ts"]);
