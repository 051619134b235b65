/** `history`, `restore` */
import { parseDigest, parseTag } from "../../oci/reference.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { quote, repositoryName } from "../format.ts";

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
        ["SEQUENCE", "TIME", "ACTOR", "FROM", "TO"],
        ({ sequence, time, actor, from, to }) => [
          String(sequence),
          time,
          actor,
          from === null ? "(none)" : output.digest(from),
          to === null ? "(deleted)" : output.digest(to),
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "restore",
    arguments: ["REPOSITORY", "REFERENCE"],
    flags: [
      { name: "digest", value: "DIGEST", summary: "to this digest, which the tag pointed at" },
      { name: "sequence", value: "N", summary: "to what this move of the tag's history led to" },
    ],
    summary: "puts a tag back, or a manifest that was deleted",
    details: "REFERENCE is a tag, which goes back to what it was before, or a digest, which comes back.",
    run: restore,
  },
];

async function restore({ api, output, flags, args: [repository = "", reference = ""] }: Invocation) {
  const [digest, text] = [flags.text("digest"), flags.text("sequence")];
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
  if (text !== undefined && !/^[1-9]\d{0,14}$/.test(text))
    throw new UsageError(`${quote(text)} is no sequence number`);
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
