/** `rebuild` */
import { type Command, exitCodes } from "../command.ts";
import { counted } from "../format.ts";

/** Has the replica written anew. */
export const rebuildCommand: Command = {
  name: "rebuild",
  arguments: [],
  flags: [],
  summary: "has the replica in KV written anew, while pulls go on",
  run: async ({ api, output }) => {
    const sum = { repositories: 0, removed: 0 };
    for await (const { repositories, removed } of api.work("/replica/rebuild", {})) {
      sum.repositories += repositories;
      sum.removed += removed;
    }
    const written = counted(sum.repositories, "repository", "repositories");
    const removed = counted(sum.removed, "row");
    output.done(`the rows of ${written} are written anew, and ${removed} removed that nobody knows`, sum);
    return exitCodes.done;
  },
};
