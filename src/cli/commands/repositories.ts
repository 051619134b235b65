/** `repo …` */
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { UsageError } from "../errors.ts";
import { quote, repositoryName } from "../format.ts";
import { readInput } from "../input.ts";
import { formatBytes } from "../progress.ts";

const path = "/repositories/{name}";

const named = (name: string) => ({ params: { name: repositoryName(name) } });

/** Lists, changes and deletes repositories. */
export const repositoryCommands: Command[] = [
  {
    name: "repo list",
    arguments: [],
    flags: [{ name: "query", value: "TEXT", summary: "only those with this in their name or description" }],
    summary: "lists the repositories that the user may pull",
    run: async ({ api, output, flags }) => {
      const query = { query: flags.text("query") ?? "", n: "1000" };
      const repositories = await api.list("/repositories", "repositories", { query });
      const columns = ["NAME", "VISIBILITY", "PULLS", "USED", "DESCRIPTION"];
      const isSearch = query.query !== "";
      const none = isSearch ? `no repositories match ${quote(query.query)}` : "there are no repositories";
      output.list(none, repositories, columns, ({ name, visibility, pulls, lastUsed, description }) => [
        name,
        visibility,
        String(pulls),
        lastUsed ?? "",
        description,
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "repo show",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "says what a repository is, and when it was last used",
    details: "tag list REPOSITORY shows its images.",
    run: async ({ api, output, args: [name = ""] }) => {
      const found = await api.send("GET", path, named(name));
      const { visibility, description, pulls, lastPulledAt, lastUsed, tagPulls } = found;
      const most = tagPulls.slice(0, 5).map(({ tag, pulls: count }) => `${tag} (${count})`);
      output.record(found, [
        ["name", found.name],
        ["visibility", visibility],
        ["description", description],
        ["tags", String(found.tags)],
        ["stored", formatBytes(found.stored.bytes)],
        ["content", found.kinds.join(", ")],
        ["platforms", found.platforms.join(", ")],
        ["last pushed", [found.pushedAt ?? "never", found.pushedBy].filter(Boolean).join(" by ")],
        ["you may", found.may.join(", ")],
        ["pulls", String(pulls)],
        ["last pulled", lastPulledAt ?? "never"],
        ["last used", lastUsed ?? "never"],
        ["pulled most", most.join(", ")],
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "repo public",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "lets everybody pull a repository",
    run: (call) => change(call, { visibility: "public" }),
  },
  {
    name: "repo private",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "lets only accounts pull a repository that have a grant",
    run: (call) => change(call, { visibility: "private" }),
  },
  {
    name: "repo describe",
    arguments: ["REPOSITORY", "TEXT"],
    flags: [],
    summary: "says what a repository is",
    run: (call) => change(call, { description: call.args[1] ?? "" }),
  },
  {
    name: "repo readme",
    arguments: ["REPOSITORY", "FILE"],
    isLastOptional: true,
    flags: [],
    summary: "shows the README of a repository, or replaces it",
    details: "FILE has Markdown, or is - for stdin; an empty one removes the README.",
    run: async ({ api, output, stdin, args: [name = "", file] }) => {
      if (file === undefined) {
        const { readme } = await api.send("GET", path, named(name));
        output.text(readme, { readme });
        return exitCodes.done;
      }
      const readme = await readInput(file, stdin);
      const repository = await api.send("PATCH", path, { ...named(name), body: { readme } });
      output.done(`the README of ${name} is ${readme === "" ? "removed" : "written"}`, repository);
      return exitCodes.done;
    },
  },
  {
    name: "repo delete",
    arguments: ["REPOSITORY"],
    flags: [{ name: "yes", summary: "needed, so that nothing is deleted by a slip" }],
    summary: "deletes a repository with all it holds",
    details: "restore REPOSITORY brings it back, for as long as GC_GRACE.",
    run: async ({ api, output, flags, args: [name = ""] }) => {
      const sent = named(name);
      if (!flags.has("yes")) {
        throw new UsageError(`this deletes ${name} with all its images: repeat it with --yes`);
      }
      const deleted = await api.send("DELETE", path, sent);
      const { until, lost } = deleted;
      output.done(
        `repository ${name} is deleted; until ${until}, this restores it: stowage restore ${name}`,
        deleted,
      );
      if (lost.length > 0) output.note(`deleted before, and restored no more: generation ${lost.join(", ")}`);
      return exitCodes.done;
    },
  },
];

async function change(
  { api, output, args: [name = ""] }: Invocation,
  body: { visibility?: "public" | "private"; description?: string },
) {
  const repository = await api.send("PATCH", path, { ...named(name), body });
  const { visibility, description } = repository;
  output.done(`${name} is ${visibility}${description === "" ? "" : `: ${description}`}`, repository);
  return exitCodes.done;
}
