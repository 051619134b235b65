/** `tag …`, `manifest …` */
import { parseDigest, parseTag } from "../../oci/reference.ts";
import type { Api } from "../api.ts";
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

const tagPath = "/repositories/{name}/tags/{tag}";

/** Lists and deletes the tags and manifests of a repository. */
export const manifestCommands: Command[] = [
  {
    name: "tag list",
    arguments: ["REPOSITORY"],
    flags: [],
    summary: "lists the tags of a repository, and what they point at",
    details:
      "SIZE is that of the image; of an index, of all its images. USED is the last day on which a client pulled it or asked for it.",
    run: async ({ api, output, args: [name = ""] }) => {
      const tags = await api.list("/repositories/{name}/tags", "tags", {
        params: { name: repositoryName(name) },
        query: { n: "100" },
      });
      const columns = ["TAG", "DIGEST", "KIND", "SIZE", "UPDATED", "BY", "USED", "PLATFORMS"];
      output.list(`${name} has no tags`, tags, columns, (tag) => [
        tag.tag,
        output.digest(tag.digest),
        tag.kind ?? "",
        sizeOf(tag),
        tag.updatedAt,
        tag.updatedBy ?? "",
        tag.lastUsed ?? "",
        (tag.platforms ?? []).join(" "),
      ]);
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
    details: "SIZE is that of the image; of an index, of all its images.",
    run: async ({ api, output, args: [name = ""] }) => {
      const manifests = await api.list("/repositories/{name}/manifests", "manifests", {
        params: { name: repositoryName(name) },
        query: { n: "1000" },
      });
      const columns = ["DIGEST", "KIND", "SIZE", "PUSHED", "BY", "USED", "PLATFORMS", "TAGS"];
      output.list(`${name} has no manifests`, manifests, columns, (manifest) => [
        output.digest(manifest.digest),
        manifest.kind ?? "",
        sizeOf(manifest),
        manifest.pushedAt,
        manifest.pushedBy ?? "",
        manifest.lastUsed ?? "",
        (manifest.platforms ?? []).join(" "),
        manifest.tags.join(" "),
      ]);
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

/** The size of an image; of a manifest that was not read again yet, nothing. */
function sizeOf({ imageSize }: { imageSize?: number | undefined }): string {
  return imageSize === undefined ? "" : formatBytes(imageSize);
}

/** What leads to the manifest of a tag, besides it. */
async function leftOf(api: Api, name: string, tag: string): Promise<string> {
  const found = await api.find(tagPath, { params: { name, tag } });
  if (found === undefined) return "";
  const { digest, otherTags, indexes } = found;
  const others = [
    ...(otherTags.length === 0 ? [] : [named("tag", otherTags)]),
    ...(indexes.length === 0 ? [] : [named("index", indexes, "indexes")]),
  ];
  const isOne = otherTags.length + indexes.length === 1;
  const left =
    others.length === 0
      ? "nothing else points at it"
      : `${others.join(" and ")} still ${isOne ? "leads" : "lead"} to it`;
  return `; ${digest} stays: ${left}`;
}

/** How many of several things are named. */
const mostNamed = 5;

function named(one: string, all: string[], more = `${one}s`): string {
  const shown = all.slice(0, mostNamed).join(", ");
  const rest = all.length > mostNamed ? ` and ${all.length - mostNamed} more` : "";
  return `the ${all.length === 1 ? one : more} ${shown}${rest}`;
}

async function remove(
  { api, content, output, flags, args }: Invocation,
  { word, joint, isOne }: ReferenceKind,
) {
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
    const left = word === "tag" && !output.isJson ? await leftOf(api, repository, reference) : "";
    try {
      await content.delete(repository, reference);
    } catch (error) {
      const isUnknown = error instanceof CommandError && error.code === "MANIFEST_UNKNOWN";
      throw isUnknown ? new CommandError(`there is no such ${word === "tag" ? "tag" : "manifest"}`) : error;
    }
    if (!output.isJson) output.note(`deleted ${full}${left}`);
  });
  if (output.isJson) output.json({ deleted: attempts.done, failed: attempts.failed });
  return showFailures(output, attempts);
}
