import { runTogether } from "../support/together.ts";

await runTogether(["upstreams/**/*.test.ts"]);
