/** `rebuild`, `repo reindex` */
import { type Command, exitCodes } from "../command.ts";
import { counted } from "../format.ts";

/** Have what is derived from the repositories made anew. */
export const rebuildCommands: Command[] = [
  {
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
  },
  {
    name: "repo reindex",
    arguments: [],
    flags: [],
    summary: "has the index of names and the search built again, while pushes and pulls go on",
    run: async ({ api, output }) => {
      const built = await api.send("POST", "/name-index/rebuild", {});
      await api.send("POST", "/search/rebuild");
      output.done(
        "the index of names and the search are being built again from the list of repositories",
        built,
      );
      return exitCodes.done;
    },
  },
];
