import { runTogether } from "../support/together.ts";

await runTogether(["upstreams/{fetches,hostile}.test.ts"]);
