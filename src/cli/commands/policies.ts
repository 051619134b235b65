/** `policy …`, `tag keep`, `tag unkeep` */
import type { Readable } from "node:stream";
import type { TriedRepository, Verdict } from "../../contract/policies.ts";
import type { SentDocument } from "../../contract/policy-document.ts";
import { parseTag } from "../../oci/reference.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { quote, repositoryName } from "../format.ts";
import { readInput } from "../input.ts";

const named = (repository: string, tag: string) => {
  if (parseTag(tag) === undefined) throw new UsageError(`${quote(tag)} is no tag`);
  return { params: { name: repositoryName(repository), tag } };
};

const reasonFlag = { name: "reason", value: "TEXT", summary: "why, for whoever asks later" };

/** Reads, tries and replaces policies, and says what they do. */
export const policyCommands: Command[] = [
  {
    name: "policy get",
    arguments: [],
    flags: [],
    summary: "shows the policies, as YAML",
    run: async ({ api, output }) => {
      const found = await api.send("GET", "/policies");
      output.text(await toYaml({ rules: found.rules }), found);
      const by = found.changedAt === undefined ? "" : `, of ${found.changedAt}, by ${found.changedBy}`;
      output.note(`version ${found.version}${by}`);
      return exitCodes.done;
    },
  },
  {
    name: "policy set",
    arguments: ["FILE"],
    flags: [{ name: "if-version", value: "N", summary: "only if the policies are still of this version" }],
    summary: "replaces the policies with those in a file, YAML or JSON",
    details:
      "FILE is - for stdin. They are in force everywhere within a minute; try them first: policy try FILE.",
    run: async ({ api, output, flags, stdin, args: [file = ""] }) => {
      const version = flags.text("if-version");
      if (version !== undefined && !/^\d{1,15}$/.test(version))
        throw new UsageError(`${quote(version)} is no version`);
      const body = await readDocument(file, stdin);
      const ifMatch = version === undefined ? {} : { ifMatch: `"${version}"` };
      const put = await api.send("PUT", "/policies", { body, ...ifMatch });
      output.done(`the policies are of version ${put.version} now`, put);
      return exitCodes.done;
    },
  },
  {
    name: "policy try",
    arguments: ["FILE"],
    isLastOptional: true,
    flags: [{ name: "repository", value: "NAME", summary: "what becomes of this one alone" }],
    summary: "says what policies would do now, and changes nothing",
    details: "FILE is YAML or JSON, or - for stdin. Without it, the policies that hold are tried.",
    run: tryPolicies,
  },
  {
    name: "policy explain",
    arguments: ["REPOSITORY", "TAG"],
    isLastOptional: true,
    flags: [],
    summary: "says what holds for a repository, or why a tag stays or goes",
    run: explain,
  },
  {
    name: "policy waiting",
    arguments: [],
    flags: [],
    summary: "lists the runs of retention that wait to be confirmed",
    run: async ({ api, output }) => {
      const runs = await api.list("/policies/waiting", "runs", { query: { n: "1000" } });
      const columns = ["REPOSITORY", "SINCE", "REMOVES", "OF", "WHY"];
      output.list("no run waits", runs, columns, ({ repository, since, removes, of, why }) => [
        repository,
        since,
        String(removes),
        String(of),
        why,
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "policy confirm",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "starts the run of retention that waits",
    run: async ({ api, output, args: [name = ""] }) => {
      const params = { name: repositoryName(name) };
      const run = await api.send("POST", "/repositories/{name}/policy/confirm", { params });
      output.done(`the run has begun: it removes ${run.removes} of ${run.of} tags of ${name}`, run);
      return exitCodes.done;
    },
  },
  {
    name: "policy override",
    arguments: ["REPOSITORY", "TAG"],
    flags: [
      { ...reasonFlag, summary: "why, for the audit log and the history; needed" },
      { name: "digest", value: "DIGEST", summary: "the manifest that it is to point at; else it is deleted" },
    ],
    summary: "moves or deletes a tag that the policies keep as it is",
    run: async ({ api, output, flags, args: [repository = "", tag = ""] }) => {
      const reason = flags.text("reason");
      if (reason === undefined) throw new UsageError("--reason is needed");
      const digest = flags.text("digest");
      named(repository, tag);
      const body = { repository, tag, reason, ...(digest === undefined ? {} : { digest }) };
      const done = await api.send("POST", "/policies/override", { body });
      output.done(`${repository}:${tag} is ${done.digest ?? "deleted"} now`, done);
      return exitCodes.done;
    },
  },
  {
    name: "tag keep",
    arguments: ["REPOSITORY", "TAG"],
    flags: [reasonFlag],
    summary: "holds a tag, so that retention never removes it",
    run: async ({ api, output, flags, args: [repository = "", tag = ""] }) => {
      const reason = flags.text("reason");
      const sent = { ...named(repository, tag), ...(reason === undefined ? {} : { body: { reason } }) };
      const held = await api.send("PUT", "/repositories/{name}/tags/{tag}/hold", sent);
      output.done(`${repository}:${tag} is held`, held);
      return exitCodes.done;
    },
  },
  {
    name: "tag unkeep",
    arguments: ["REPOSITORY", "TAG"],
    flags: [],
    summary: "lets retention remove a tag again",
    run: async ({ api, output, args: [repository = "", tag = ""] }) => {
      await api.send("DELETE", "/repositories/{name}/tags/{tag}/hold", named(repository, tag));
      output.done(`${repository}:${tag} is not held any more`);
      return exitCodes.done;
    },
  },
];

/** Reads a document: YAML, of which JSON is a part. A list alone is the list of rules. */
async function readDocument(file: string, stdin: Readable): Promise<SentDocument> {
  const { parse } = await import("yaml");
  const given = await readInput(file, stdin);
  let document: unknown;
  try {
    document = parse(given);
  } catch (error) {
    const [line = ""] = String(error instanceof Error ? error.message : error).split("\n");
    throw new CommandError(`${file} is no YAML: ${line.replace(/:$/, "")}`);
  }
  // The registry checks the rest, and names what is wrong.
  if (Array.isArray(document)) return { rules: document };
  if (typeof document === "object" && document !== null) return document as SentDocument;
  throw new CommandError(`${file} has no rules`);
}

async function toYaml(value: object): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { lineWidth: 110 });
}

async function tryPolicies({ api, output, flags, stdin, args: [file] }: Invocation) {
  const name = flags.text("repository");
  const fields = {
    ...(file === undefined ? {} : await readDocument(file, stdin)),
    ...(name === undefined ? {} : { repository: repositoryName(name) }),
  };
  const tried: TriedRepository[] = [];
  for await (const { repositories } of api.work("/policies/try", fields)) tried.push(...repositories);
  if (output.isJson) {
    output.json(tried);
    return exitCodes.done;
  }
  const rows = tried.flatMap(({ name: of, tags }) => tags.map((tag) => ({ of, ...tag })));
  const columns = ["REPOSITORY", "TAG", "", "WHY"];
  output.list("nothing would be removed anywhere", rows, columns, (row) => [
    row.of,
    row.tag,
    row.stays ? "stays" : "goes",
    reasonOf(row),
  ]);
  for (const { name: of, stays, goes, tags, freed, waits } of tried) {
    const listed = tags.length < stays + goes ? `, of which ${tags.length} are listed` : "";
    const bytes =
      freed === undefined ? "" : `, which frees ${freed.manifests.bytes + freed.blobs.bytes} bytes`;
    const wait = waits === undefined ? "" : `; the run would wait to be confirmed (${waits})`;
    output.note(`${of}: ${goes} go and ${stays} stay${listed}${bytes}${wait}`);
  }
  return exitCodes.done;
}

function reasonOf({ why, line, since, until }: Verdict): string {
  if (since !== undefined) return `nothing has kept it since ${since}`;
  if (why !== "kept") return why ?? "";
  return `kept by keep[${line}]${until === undefined ? "" : ` until ${until}`}`;
}

async function explain({ api, output, args: [name = "", tag] }: Invocation) {
  const params = { name: repositoryName(name) };
  const sent = tag === undefined ? { params } : { ...named(name, tag), query: { tag } };
  const found = await api.send("GET", "/repositories/{name}/policy", { ...sent, params });
  if (output.isJson) {
    output.json(found);
    return exitCodes.done;
  }
  const { version, retention, breaks, tag: verdict, ...sections } = found;
  if (verdict !== undefined) {
    output.note(`${name}:${verdict.tag} ${verdict.stays ? "stays" : "goes"}: ${reasonOf(verdict)}`);
    return exitCodes.done;
  }
  output.text(await toYaml(sections), found);
  output.note(`by version ${version} of the policies; rules are counted from 0`);
  const { waiting, nextRunAt, held } = retention;
  if (waiting !== undefined)
    output.note(
      `a run waits since ${waiting.since}: it would remove ${waiting.removes} of ${waiting.of} tags (${waiting.why})`,
    );
  if (nextRunAt !== undefined) output.note(`the next run is on ${nextRunAt}`);
  if (held.length > 0) output.note(`held: ${held.map((each) => each.tag).join(", ")}`);
  if (breaks.name) output.note(`a new repository could not be called ${name}`);
  if (breaks.tags.length > 0) output.note(`tags that could not be made today: ${breaks.tags.join(", ")}`);
  return exitCodes.done;
}
