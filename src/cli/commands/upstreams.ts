/** `upstream list`, `upstream show`, `upstream check`, `upstream evict` */
import { parseRepositoryName, type RepositoryName } from "../../oci/reference.ts";
import { type Command, exitCodes } from "../command.ts";
import { UsageError } from "../errors.ts";
import { pathSegment, quote } from "../format.ts";
import { formatBytes } from "../progress.ts";

function readDays(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits] = /^(\d{1,5})d?$/.exec(text) ?? [];
  if (digits === undefined) throw new UsageError(`--unused is ${quote(text)}, but must be days, such as 30d`);
  return Number(digits);
}

function readRepository(text: string | undefined): RepositoryName | undefined {
  if (text === undefined) return undefined;
  const repository = parseRepositoryName(text);
  if (repository === undefined) throw new UsageError(`--repository is ${quote(text)}, which is no name`);
  return repository;
}

function listed(texts: string[]): string {
  return texts.length === 0 ? "-" : texts.join(", ");
}

/** Registries that are cached. */
export const upstreamCommands: Command[] = [
  {
    name: "upstream list",
    arguments: [],
    flags: [],
    summary: "lists the registries that are cached",
    run: async ({ api, output }) => {
      const { upstreams } = await api.send("GET", "/upstreams");
      output.list(
        "there are no upstreams",
        upstreams,
        ["ID", "URL", "STATE", "VISIBILITY", "ALIASES"],
        ({ id, url, state, visibility, aliases }) => [id, url, state, visibility, listed(aliases)],
      );
      return exitCodes.done;
    },
  },
  {
    name: "upstream show",
    arguments: ["ID"],
    flags: [],
    summary: "shows what is known of an upstream: its state, rate limit, and caches",
    run: async ({ api, output, args: [id = ""] }) => {
      const shown = await api.send("GET", "/upstreams/{upstream}", { params: { upstream: pathSegment(id) } });
      const { lastAnswerAt, lastFailure, rateLimit, reserved } = shown;
      output.record(shown, [
        ["id", shown.id],
        ["url", shown.url],
        ["aliases", listed(shown.aliases)],
        ["repositories", listed(shown.repositories)],
        ["visibility", shown.visibility],
        ["credential", shown.hasCredential ? "yes" : "no"],
        ["state", shown.state],
        ["last answer", lastAnswerAt ?? "-"],
        ["last failure", lastFailure === undefined ? "-" : `${lastFailure.at}: ${lastFailure.detail}`],
        ["rate limit", rateLimit === undefined ? "-" : `${rateLimit.remaining} of ${rateLimit.limit} left`],
        ["fetches", String(shown.fetches)],
        ["cached repositories", String(shown.cached)],
        ["pushed under its id", listed(reserved)],
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "upstream check",
    arguments: ["ID"],
    flags: [{ name: "repository", value: "NAME", summary: "a repository of it, by its name there" }],
    summary: "asks an upstream whether it answers, also if it failed a moment ago",
    details:
      "Exits with 1 if it does not. It also names repositories that were pushed under the upstream's id.",
    run: async ({ api, output, args: [id = ""], flags }) => {
      const repository = readRepository(flags.text("repository"));
      const checked = await api.send("POST", "/upstreams/{upstream}/check", {
        params: { upstream: pathSegment(id) },
        body: repository === undefined ? {} : { repository },
      });
      output.record(checked, [
        ["answers", checked.reachable ? "yes" : "no"],
        ["detail", checked.detail],
        ["milliseconds", String(checked.milliseconds)],
        ["pushed under its id", listed(checked.reserved)],
      ]);
      return checked.reachable ? exitCodes.done : exitCodes.refused;
    },
  },
  {
    name: "upstream evict",
    arguments: ["ID"],
    flags: [
      { name: "repository", value: "NAME", summary: "only of this repository, by its name there" },
      { name: "unused", value: "DAYS", summary: "only what was not used for more than so many days" },
    ],
    summary: "removes cached content, which is fetched again when it is pulled",
    run: async ({ api, output, args: [id = ""], flags }) => {
      const repository = readRepository(flags.text("repository"));
      const unusedDays = readDays(flags.text("unused"));
      const evicted = await api.send("POST", "/upstreams/{upstream}/evict", {
        params: { upstream: pathSegment(id) },
        body: {
          ...(repository === undefined ? {} : { repository }),
          ...(unusedDays === undefined ? {} : { unusedDays }),
        },
      });
      const { manifests, blobs, bytes } = evicted;
      output.done(`removed ${manifests} manifests and ${blobs} blobs, ${formatBytes(bytes)}`, evicted);
      return exitCodes.done;
    },
  },
];
