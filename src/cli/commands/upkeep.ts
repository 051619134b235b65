/** `usage`, `scrub`, `rebuild`, `history`, `restore` */
import type { Finding, ScrubReport } from "../../contract/scrub.ts";
import type { UsagePage } from "../../contract/usage.ts";
import { parseDigest } from "../../oci/digest.ts";
import { parseTag } from "../../oci/name.ts";
import { type Command, exitCodes, type Invocation } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { counted, quote, repositoryName } from "../format.ts";
import { formatBytes } from "../progress.ts";

const named = (repository: string, tag: string) => {
  if (parseTag(tag) === undefined) throw new UsageError(`${quote(tag)} is no tag`);
  return { params: { name: repositoryName(repository), tag } };
};

/** Usage, scrub and undo. */
export const upkeepCommands: Command[] = [
  {
    name: "usage",
    arguments: [],
    flags: [],
    summary: "says what each repository holds, and all of them do",
    details: "LOGICAL counts everything as often as it is referenced, STORED once.",
    run: async ({ api, output }) => {
      const repositories: UsagePage["repositories"] = [];
      let total: UsagePage["total"];
      for await (const page of api.pages("/usage", { query: { n: "500" } })) {
        repositories.push(...page.repositories);
        total ??= page.total;
      }
      if (output.isJson) output.json({ repositories, total });
      else {
        const columns = ["NAME", "TAGS", "MANIFESTS", "BLOBS", "LOGICAL", "STORED"];
        output.list(
          "repositories",
          repositories,
          columns,
          ({ name, tags, manifests, blobs, logical, stored }) => [
            name,
            ...[tags, manifests, blobs].map(String),
            ...[logical, stored].map(({ bytes }) => formatBytes(bytes)),
          ],
        );
        if (total !== undefined) {
          const { logical, stored, leaving } = total;
          const [asIf, really, going] = [logical, stored, leaving].map(({ bytes }) => formatBytes(bytes));
          output.note(`in all ${really} stored for ${asIf}; ${going} are on their way out`);
        }
      }
      return exitCodes.done;
    },
  },
  {
    name: "scrub",
    arguments: [],
    flags: [],
    summary: "reads and compares all that is stored, and puts right what can be",
    details:
      "Exits with 1 if there is something that cannot be put right, or that could not be looked at (LEFT OUT). REFUSED is what is sound, and would be refused if it were pushed today.",
    run: async ({ api, output, progress }) => {
      const checked = { blobs: 0, bytes: 0, links: 0, manifests: 0, tags: 0, keys: 0 };
      const sum: ScrubReport = { checked, repaired: [], problems: [], refused: [], unchecked: [] };
      for await (const piece of api.work("/scrub", {})) {
        for (const name of Object.keys(checked) as (keyof typeof checked)[]) {
          checked[name] += piece.checked[name];
        }
        sum.repaired.push(...piece.repaired);
        sum.problems.push(...piece.problems);
        sum.refused.push(...piece.refused);
        sum.unchecked.push(...piece.unchecked);
        progress.show("digests read", checked.blobs, checked.blobs, checked.bytes);
      }
      progress.end();
      showFindings(output, sum);
      return sum.problems.length + sum.unchecked.length === 0 ? exitCodes.done : exitCodes.refused;
    },
  },
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
    name: "history",
    arguments: ["REPOSITORY", "TAG"],
    flags: [],
    summary: "shows how a tag moved, newest first",
    run: async ({ api, output, args: [repository = "", tag = ""] }) => {
      const moves = await api.list("/repositories/{name}/tags/{tag}/history", "history", {
        ...named(repository, tag),
        query: { n: "1000" },
      });
      output.list(
        "moves",
        moves,
        ["SEQUENCE", "TIME", "ACTOR", "FROM", "TO"],
        ({ sequence, time, actor, from, to }) => [
          String(sequence),
          time,
          actor,
          from ?? "(none)",
          to ?? "(deleted)",
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
    const command = `restore ${repository} ${error.digest}`;
    throw new CommandError(`the manifest of ${reference} was deleted: ${command}`, error.status);
  });
  output.done(`${repository}:${reference} is ${restored.digest} again`, restored);
  return exitCodes.done;
}

function showFindings(
  output: Invocation["output"],
  { checked, repaired, problems, refused, unchecked }: ScrubReport,
): void {
  if (output.isJson) {
    output.json({ checked, repaired, problems, refused, unchecked });
    return;
  }
  const findings = [
    ...problems.map((finding) => ({ state: "PROBLEM", ...finding })),
    ...unchecked.map((finding) => ({ state: "LEFT OUT", ...finding })),
    ...repaired.map((finding) => ({ state: "repaired", ...finding })),
    ...refused.map((finding) => ({ state: "REFUSED", ...finding })),
  ];
  const subject = ({ repository, digest, tag, key }: Finding) =>
    [repository, tag, digest, key].filter((part) => part !== undefined).join(" ");
  if (findings.length > 0) {
    output.list("findings", findings, ["STATE", "WHAT", "WHICH", "DETAIL"], (finding) => [
      finding.state,
      finding.what,
      subject(finding),
      finding.detail ?? "",
    ]);
  }
  const { blobs, bytes, manifests, tags } = checked;
  const looked = `${counted(blobs, "blob")} (${formatBytes(bytes)}), ${counted(manifests, "manifest")} and ${counted(tags, "tag")}`;
  const found = `${counted(problems.length, "problem")}, ${repaired.length} repaired, ${unchecked.length} left out`;
  output.note(`${looked} were read: ${found}, ${refused.length} that a push would be refused for today`);
}
