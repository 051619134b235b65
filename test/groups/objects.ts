import { runTogether } from "../support/together.ts";

await runTogether(["objects/**/*.test.ts"]);
