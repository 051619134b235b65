/** `usage` */
import type { UsagePage } from "../../contract/usage.ts";
import { type Command, exitCodes } from "../command.ts";
import { formatBytes } from "../progress.ts";

/** Prints how much is stored. */
export const usageCommand: Command = {
  name: "usage",
  arguments: [],
  flags: [],
  summary: "says what each repository holds, and all of them do",
  details: "LOGICAL counts everything as often as it is referenced, STORED once.",
  run: async ({ api, output }) => {
    const repositories: UsagePage["repositories"] = [];
    let total: UsagePage["total"];
    for await (const page of api.pages("/usage", { query: { n: "500" } })) {
      repositories.push(...page.repositories);
      total ??= page.total;
    }
    if (output.isJson) output.json({ repositories, total });
    else {
      const columns = ["NAME", "TAGS", "MANIFESTS", "BLOBS", "LOGICAL", "STORED"];
      output.list(
        "there are no repositories",
        repositories,
        columns,
        ({ name, tags, manifests, blobs, logical, stored }) => [
          name,
          ...[tags, manifests, blobs].map(String),
          ...[logical, stored].map(({ bytes }) => formatBytes(bytes)),
        ],
      );
      if (total !== undefined) {
        const { logical, stored, leaving } = total;
        const [asIf, really, going] = [logical, stored, leaving].map(({ bytes }) => formatBytes(bytes));
        output.note(`in all ${really} stored for ${asIf}; ${going} are on their way out`);
        if (!total.isComplete) output.note("some repositories are not counted yet: ask again in a while");
      }
    }
    return exitCodes.done;
  },
};
