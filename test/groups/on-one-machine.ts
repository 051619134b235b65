import { runTogether } from "../support/together.ts";

await runTogether(["**/*on-one-machine.test.ts"], []);
