/** `tag …`, `manifest …` */
import { parseDigest, parseTag } from "../../oci/reference.ts";
import { attemptEach, showFailures } from "../attempts.ts";
import { type Command, exitCodes, type Flag, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { quote, repositoryName } from "../format.ts";
import { formatBytes } from "../progress.ts";

/** What references a manifest: the word for it, how it is joined to a repository's name, and whether a text is one. */
type ReferenceKind = { word: "tag" | "digest"; joint: ":" | "@"; isOne: (text: string) => boolean };

const tagKind: ReferenceKind = {
  word: "tag",
  joint: ":",
  isOne: (text) => parseTag(text) !== undefined,
};
const digestKind: ReferenceKind = {
  word: "digest",
  joint: "@",
  isOne: (text) => parseDigest(text) !== undefined,
};

const confirmation: Flag = { name: "yes", summary: "needed, so that nothing is deleted by a slip" };

/** Lists and deletes the tags and manifests of a repository. */
export const manifestCommands: Command[] = [
  {
    name: "tag list",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "lists the tags of a repository",
    run: async ({ content, output, args: [name = ""] }) => {
      output.lines("tags", await content.tags(repositoryName(name)));
      return exitCodes.done;
    },
  },
  {
    name: "tag delete",
    arguments: ["REPOSITORY", "TAG"],
    takesSeveral: true,
    flags: [confirmation],
    summary: "deletes tags; their manifests stay",
    details: "restore REPOSITORY TAG puts a tag back.",
    run: (call) => remove(call, tagKind),
  },
  {
    name: "manifest list",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "lists the manifests of a repository, tagged or not",
    run: async ({ api, output, args: [name = ""] }) => {
      const manifests = await api.list("/repositories/{name}/manifests", "manifests", {
        params: { name: repositoryName(name) },
        query: { n: "1000" },
      });
      const columns = ["DIGEST", "SIZE", "PUSHED", "TYPE", "TAGS"];
      output.list(
        "manifests",
        manifests,
        columns,
        ({ digest, size, pushedAt, mediaType, artifactType, tags }) => [
          digest,
          formatBytes(size),
          pushedAt,
          artifactType ?? mediaType,
          tags.join(" "),
        ],
      );
      return exitCodes.done;
    },
  },
  {
    name: "manifest delete",
    arguments: ["REPOSITORY", "DIGEST"],
    takesSeveral: true,
    flags: [confirmation],
    summary: "deletes manifests, with the tags that point at them",
    details: "restore REPOSITORY DIGEST brings one back with its tags, for as long as GC_GRACE.",
    run: (call) => remove(call, digestKind),
  },
];

async function remove({ content, output, flags, args }: Invocation, { word, joint, isOne }: ReferenceKind) {
  const [name = "", ...given] = args;
  const repository = repositoryName(name);
  const wrong = given.find((text) => !isOne(text));
  if (wrong !== undefined) throw new UsageError(`${quote(wrong)} is no ${word}`);
  const references = [...new Set(given)].map((text): [string, string] => [
    `${repository}${joint}${text}`,
    text,
  ]);
  if (!flags.has("yes")) {
    throw new UsageError(`this deletes ${references.map(([full]) => full).join(", ")}: repeat it with --yes`);
  }
  const attempts = await attemptEach(references, async (full, reference) => {
    try {
      await content.delete(repository, reference);
    } catch (error) {
      const isUnknown = error instanceof CommandError && error.code === "MANIFEST_UNKNOWN";
      throw isUnknown ? new CommandError(`there is no such ${word === "tag" ? "tag" : "manifest"}`) : error;
    }
    if (!output.isJson) output.note(`deleted ${full}`);
  });
  if (output.isJson) output.json({ deleted: attempts.done, failed: attempts.failed });
  return showFailures(output, attempts);
}
