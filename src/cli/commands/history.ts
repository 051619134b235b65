/** `history`, `deleted`, `restore` */
import type { Deletion } from "../../contract/deleted.ts";
import { parseDigest, parseTag } from "../../oci/reference.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { durationSeconds, quote, repositoryName } from "../format.ts";
import { type RestoredIn, repositoriesWithDeletions, restoreIn } from "../restore-since.ts";

const named = (repository: string, tag: string) => {
  if (parseTag(tag) === undefined) throw new UsageError(`${quote(tag)} is no tag`);
  return { params: { name: repositoryName(repository), tag } };
};

/** Shows how tags moved, and restores tags and manifests. */
export const historyCommands: Command[] = [
  {
    name: "history",
    arguments: ["REPOSITORY", "TAG"],
    flags: [],
    summary: "shows how a tag moved, newest first",
    run: async ({ api, output, args: [repository = "", tag = ""] }) => {
      const sent = { ...named(repository, tag), query: { n: "1000" } };
      const listed = api.list("/repositories/{name}/tags/{tag}/history", "history", sent);
      const moves = await listed.catch((error: unknown) => {
        const isUnknown = error instanceof CommandError && error.code === "MANIFEST_UNKNOWN";
        throw isUnknown ? new CommandError(`${repository} has no tag ${tag}, and has had none`, 404) : error;
      });
      output.list(
        `the moves of ${tag} are forgotten`,
        moves,
        ["SEQUENCE", "TIME", "ACTOR", "FROM", "TO", "WHY"],
        ({ sequence, time, actor, from, to, reason }) => [
          String(sequence),
          time,
          actor,
          from === null ? "(none)" : output.digest(from),
          to === null ? "(deleted)" : output.digest(to),
          reason ?? "",
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "deleted",
    arguments: ["REPOSITORY"],
    isLastOptional: true,
    flags: [],
    summary: "lists what was deleted and can be restored",
    details: "Without REPOSITORY, that of all repositories, which is for administrators.",
    run: deleted,
  },
  {
    name: "restore",
    arguments: ["REPOSITORY", "REFERENCE"],
    areAllOptional: true,
    flags: [
      { name: "digest", value: "DIGEST", summary: "to this digest, which the tag pointed at" },
      { name: "sequence", value: "N", summary: "to what this move of the tag's history led to" },
      {
        name: "generation",
        value: "N",
        summary: "a repository that was deleted several times: this content",
      },
      {
        name: "since",
        value: "TIME",
        summary: "all tags and manifests that were deleted within this time, such as 1h",
      },
      {
        name: "by",
        value: "ACTOR",
        summary: "with --since: only those that this account deleted, or policy",
      },
    ],
    summary: "puts a tag back, or a manifest or repository that was deleted",
    details:
      "REFERENCE is a tag, which goes back to what it was before, or a digest, which comes back. Without it, the repository comes back that was deleted as a whole. With --since, tags and manifests come back: of REPOSITORY, or of all.",
    run: (call) => {
      if (call.flags.has("since") || call.flags.has("by")) return restoreSince(call);
      if (call.args.length === 0)
        throw new UsageError("restore takes REPOSITORY [REFERENCE], or --since TIME");
      return call.args.length === 1 ? restoreRepository(call) : restore(call);
    },
  },
];

type Row = { name: string } & Deletion;

async function deleted({ api, output, args: [name] }: Invocation) {
  const rows: Row[] = [];
  if (name !== undefined) {
    const sent = { params: { name: repositoryName(name) }, query: { n: "1000" } };
    const found = await api.list("/repositories/{name}/deleted", "deleted", sent);
    rows.push(...found.map((each) => ({ name, ...each })));
  } else {
    for await (const { repositories } of api.pages("/deleted", { query: { n: "100" } })) {
      for (const { name: of, deleted: found, more } of repositories) {
        rows.push(...found.map((each) => ({ name: of, ...each })));
        if (more) output.note(`there is more in ${of}: deleted ${of} lists all of it`);
      }
    }
  }
  const columns = ["WHAT", "REFERENCE", "DELETED", "BY", "UNTIL"];
  output.list("nothing that was deleted can be restored", rows, columns, (row) => [
    row.what,
    referenceOf(row),
    row.deletedAt,
    row.actor,
    row.until,
  ]);
  return exitCodes.done;
}

/** What a deletion was about, as {@link restore} takes it. */
function referenceOf(row: Row): string {
  switch (row.what) {
    case "repository":
      return `${row.name} (generation ${row.generation})`;
    case "manifest":
      return [`${row.name}@${row.digest}`, ...(row.tags ?? [])].join(" ");
    case "tag":
      return `${row.name}:${row.tag}`;
  }
}

async function restoreSince({ api, output, flags, args, now }: Invocation) {
  const [name] = args;
  const text = flags.text("since");
  if (text === undefined) throw new UsageError("--by goes with --since");
  if (args.length > 1 || ["digest", "sequence", "generation"].some((flag) => flags.has(flag)))
    throw new UsageError("--since is for all that was deleted in a repository, or in all of them");
  const wanted = { sinceMs: now() - durationSeconds(text) * 1000, by: flags.text("by") };
  const names = name === undefined ? await repositoriesWithDeletions(api) : [repositoryName(name)];
  const restored: RestoredIn[] = [];
  for (const each of names) {
    const back = await restoreIn(api, each, wanted);
    if (back.manifests.length + back.tags.length + back.failed.length === 0) continue;
    restored.push(back);
    const failed = back.failed.length === 0 ? "" : `, but not ${back.failed.join(", ")}`;
    output.note(`${each}: ${back.tags.length} tags and ${back.manifests.length} manifests are back${failed}`);
  }
  if (output.isJson) output.json(restored);
  else if (restored.length === 0) output.note("nothing was deleted like that");
  return restored.some(({ failed }) => failed.length > 0) ? exitCodes.refused : exitCodes.done;
}

async function restoreRepository({ api, output, flags, args: [name = ""] }: Invocation) {
  if (flags.has("digest") || flags.has("sequence"))
    throw new UsageError("--digest and --sequence are for tags");
  const text = flags.text("generation");
  if (text !== undefined && !isNumber(text)) throw new UsageError(`${quote(text)} is no generation`);
  const body = text === undefined ? {} : { generation: Number(text) };
  const sent = { params: { name: repositoryName(name) }, body };
  const restored = await api.send("POST", "/repositories/{name}/restore", sent);
  const state = restored.isComplete ? "is back" : "is coming back, in batches";
  output.done(`repository ${name} ${state}, as it was on ${restored.deletedAt}`, restored);
  return exitCodes.done;
}

function isNumber(text: string): boolean {
  return /^[1-9]\d{0,14}$/.test(text);
}

async function restore({ api, output, flags, args: [repository = "", reference = ""] }: Invocation) {
  const [digest, text] = [flags.text("digest"), flags.text("sequence")];
  if (flags.has("generation")) throw new UsageError("--generation is for repositories");
  if (reference.includes(":")) {
    if (digest !== undefined || text !== undefined)
      throw new UsageError("--digest and --sequence are for tags");
    if (parseDigest(reference) === undefined) throw new UsageError(`${quote(reference)} is no digest`);
    const params = { name: repositoryName(repository), digest: reference };
    const path = "/repositories/{name}/manifests/{digest}/restore";
    const restored = await api.send("POST", path, { params });
    const tags = restored.tags.length === 0 ? "" : `, with ${restored.tags.join(", ")}`;
    output.done(`${reference} is back in ${repository}${tags}`, restored);
    return exitCodes.done;
  }
  if (text !== undefined && !isNumber(text)) throw new UsageError(`${quote(text)} is no sequence number`);
  if (digest !== undefined && text !== undefined)
    throw new UsageError("--digest and --sequence exclude each other");
  const wanted = {
    ...(digest === undefined ? {} : { digest }),
    ...(text === undefined ? {} : { sequence: Number(text) }),
  };
  const sent = { ...named(repository, reference), body: wanted };
  const path = "/repositories/{name}/tags/{tag}/restore";
  const restored = await api.send("POST", path, sent).catch((error: unknown) => {
    const isKnown = error instanceof CommandError && error.code === "MANIFEST_UNKNOWN";
    if (!isKnown || error.digest === undefined) throw error;
    const command = `stowage restore ${repository} ${error.digest}`;
    throw new CommandError(
      `the manifest of ${repository}:${reference} was deleted; bring it back first: ${command}`,
      error.status,
    );
  });
  output.done(`${repository}:${reference} is ${restored.digest} again`, restored);
  return exitCodes.done;
}
