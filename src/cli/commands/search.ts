/** `search`, `tag show`: what the interface for people shows, in a terminal. */

import type { OperationAt } from "../../contract/contract.ts";
import type { AnswerOf } from "../../contract/operation.ts";
import { parseTag } from "../../oci/reference.ts";
import { type Command, exitCodes } from "../command.ts";
import { UsageError } from "../errors.ts";
import { quote, repositoryName } from "../format.ts";
import type { Output } from "../output.ts";
import { formatBytes } from "../progress.ts";

/** How many results are printed, unless `--limit` says otherwise. */
const defaultLimit = 100;

type Reference = AnswerOf<OperationAt<"/repositories/{name}/references/{reference}", "GET">>;
type Referrer = Reference["content"]["referrers"][number];

/** Finds repositories and tags, and shows what a tag leads to. */
export const searchCommands: Command[] = [
  {
    name: "search",
    arguments: ["TEXT"],
    flags: [
      { name: "tags", summary: "finds tags that begin like this instead" },
      {
        name: "kind",
        value: "KIND",
        summary: "only repositories with this: image, index, chart, artifact, …",
      },
      { name: "platform", value: "PLATFORM", summary: "only repositories with images for this: linux/arm64" },
    ],
    summary: "finds repositories by name and description, and tags",
    details: `The first ${defaultLimit}. team/app:v1 and sha256:… find tags. What was pushed is found within 10 s.`,
    run: async ({ api, output, args: [text = ""], flags }) => {
      const isForTags = flags.has("tags") || text.includes(":");
      const query = {
        q: text,
        n: String(defaultLimit),
        ...(isForTags ? { type: "tag" } : {}),
        kind: flags.text("kind"),
        platform: flags.text("platform"),
      };
      const { repositories, tags } = await api.send("GET", "/search", { query });
      if (isForTags) {
        output.list(
          `no tags match ${quote(text)}`,
          tags,
          ["TAG", "DIGEST"],
          ({ repository, tag, digest }) => [`${repository}:${tag}`, output.digest(digest)],
        );
        return exitCodes.done;
      }
      const columns = ["NAME", "VISIBILITY", "TAGS", "SIZE", "PULLS", "PUSHED", "BY", "CONTENT"];
      output.list(`no repositories match ${quote(text)}`, repositories, columns, (found) => [
        found.name,
        found.visibility,
        String(found.tags),
        formatBytes(found.size),
        String(found.pulls),
        found.pushedAt ?? "",
        found.pushedBy ?? "",
        found.kinds.join(" "),
      ]);
      return exitCodes.done;
    },
  },
  {
    name: "tag show",
    arguments: ["REPOSITORY", "TAG"],
    flags: [
      { name: "platform", value: "PLATFORM", summary: "of an index, the image for this; else its first" },
    ],
    summary: "says what a tag leads to: platforms, layers with their commands, what is attached",
    details: "It is no pull.",
    run: async ({ api, output, args: [name = "", tag = ""], flags }) => {
      if (parseTag(tag) === undefined) throw new UsageError(`${quote(tag)} is no tag`);
      const found = await api.send("GET", "/repositories/{name}/references/{reference}", {
        params: { name: repositoryName(name), reference: tag },
        query: { platform: flags.text("platform") },
      });
      show(output, found);
      return exitCodes.done;
    },
  },
];

function show(output: Output, found: Reference): void {
  const { content, image } = found;
  const shown = image ?? content;
  const layers = shown.layers.filter(({ isEmpty }) => !isEmpty);
  output.record(found, [
    ["digest", content.digest],
    ["content", content.kind ?? content.mediaType],
    ["size", content.imageSize === undefined ? "" : formatBytes(content.imageSize)],
    ["tags", content.tags.join(", ")],
    ["pushed", [content.pushedAt, content.pushedBy].filter(Boolean).join(" by ")],
    ["last used", content.lastUsed ?? "never"],
    ["platforms", (content.platforms ?? []).join(", ")],
    ["image", image === undefined ? "" : `${image.digest} (${image.config?.platform ?? ""})`],
    ...layers.map((layer): [string, string] => [
      "layer",
      `${formatBytes(layer.size)}  ${layer.command ?? layer.mediaType ?? ""}`,
    ]),
    ["entrypoint", (shown.config?.entrypoint ?? []).join(" ")],
    ["command", (shown.config?.command ?? []).join(" ")],
    ["ports", (shown.config?.exposedPorts ?? []).join(", ")],
    ...[...content.referrers, ...(image?.referrers ?? [])].map((each): [string, string] => [
      "attached",
      attachedOf(each),
    ]),
  ]);
}

function attachedOf({ kind, digest, artifactType, layers }: Referrer): string {
  const predicates = layers
    .map(({ annotations }) => annotations["in-toto.io/predicate-type"])
    .filter(Boolean);
  return [kind ?? "artifact", digest, predicates.join(", ") || (artifactType ?? "")]
    .filter(Boolean)
    .join("  ");
}
