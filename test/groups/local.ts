import { runTogether } from "../support/together.ts";

await runTogether(["local/*.test.ts"]);
