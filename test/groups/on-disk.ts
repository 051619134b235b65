import { runTogether } from "../support/together.ts";

await runTogether(["**/*on-disk.test.ts"], []);
